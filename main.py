"""Synthesise the payment system for the environment that the environment variables name."""

import sys
from pathlib import Path

from lib.config import PROJECT, ConfigurationError, StackConfig
from lib.provider_lock import pin_provider, this_platform


def synthesise(config: StackConfig, *, folder: str | None = None) -> None:
    """Write the Terraform of one environment to a folder (``cdktf.out`` by default)."""
    # Only now: they start a Node.js process, which a mistyped variable need not wait for.
    from cdktf import App  # noqa: PLC0415

    from lib.tap_stack import TapStack  # noqa: PLC0415

    app = App(outdir=folder)
    stack = config.name(PROJECT)
    TapStack(app, stack, config=config)
    app.synth()
    if not pin_provider(Path(app.outdir) / "stacks" / stack):
        sys.stderr.write(
            f"The AWS provider's checksum is not pinned for {this_platform()}: "
            "python -m local.providers adds it to .terraform.lock.hcl.\n"
        )


def main() -> int:
    """Synthesise what the environment variables name and return the exit code."""
    try:
        config = StackConfig.from_env()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    synthesise(config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
