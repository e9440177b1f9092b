"""Send requests generated from the contract to a deployed API: `python -m tests.contract.fuzz`.

The same seed against an API in the same state sends the same requests.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local import emulator
from local.deployment import Deployment
from local.errors import RigError
from local.workspace import REPOSITORY, Workspace
from tests.contract.contract import DOCUMENT

SEED = 20260312


def command(
    url: str, *, authority: str | None = None, seed: int = SEED, examples: int | None = None
) -> list[str]:
    """Return the command that tests the API at a URL.

    Args:
        url: the API with its stage.
        authority: certificate (PEM) that vouches for it, if the usual ones do not.
        seed: what the requests are generated from.
        examples: how many at most for an operation and phase; else as in schemathesis.toml.
    """
    configuration = Path(__file__).with_name("schemathesis.toml")
    return [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("--no-color", "run", str(DOCUMENT), "--url", url, "--seed", str(seed)),
        *(("--tls-verify", authority) if authority else ()),
        *(("--max-examples", str(examples)) if examples else ()),
    ]


def environment(*, local: bool) -> dict[str, str]:
    """Return the environment variables for it; on this machine no proxy stands in the way."""
    return dict(os.environ) | ({"NO_PROXY": "*", "no_proxy": "*"} if local else {})


def main(arguments: Sequence[str] | None = None) -> int:
    """Test an API and return the exit code: 0 if every answer was as the contract says."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.fuzz", description=__doc__)
    parser.add_argument("--url", help="the API with its stage (default: the one of make up)")
    parser.add_argument("--authority", help="certificate (PEM) that vouches for it")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--max-examples", type=int, metavar="N")
    options = parser.parse_args(arguments)
    url, authority = options.url, options.authority
    if url is None:
        try:
            url, authority = _local_api()
        except RigError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    chosen = command(url, authority=authority, seed=options.seed, examples=options.max_examples)
    variables = environment(local=options.url is None)
    return subprocess.run(chosen, cwd=REPOSITORY, env=variables, check=False).returncode


def _local_api() -> tuple[str, str]:
    workspace = Workspace()
    running = emulator.running(workspace)
    if running is None:
        raise RigError("The emulator is not running: run make up first.")
    return Deployment(workspace, running).api_url_by_path, running.authority


if __name__ == "__main__":
    sys.exit(main())
