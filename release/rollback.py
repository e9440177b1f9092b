"""Deploy an earlier version to the environment that the shell names: ``make rollback TO=1.0.0``.

It is checked out next to this one, so that nothing here changes, and deployed with ``cdktf deploy``,
which shows the plan and asks. Data stays: an earlier version reads what a newer one wrote.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from release.earlier import UnknownVersionError, checked_out, programs


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy, and return the exit code of ``cdktf deploy``, or 2 without such a version."""
    parser = argparse.ArgumentParser(prog="python -m release.rollback", description=__doc__)
    parser.add_argument("version", help="a tag or commit, such as 1.0.0")
    parser.add_argument("--auto-approve", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    approval = ["--auto-approve"] if options.auto_approve else []
    try:
        with checked_out(options.version) as folder:
            print(f"Deploying {options.version} ...", flush=True)
            return subprocess.run(
                ["cdktf", "deploy", "--app", ".venv/bin/python main.py", *approval],
                check=False,
                cwd=folder,
                env={**os.environ, **programs(folder)},
            ).returncode
    except UnknownVersionError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
