"""Use a freshly deployed environment as its people do: ``python -m release.smoke``.

Pays, refunds, sends a file, and checks the books, with the commands of ``payments`` and the variables of the
stage. It stops at the first command that does not end well, with that command's exit code.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from operations.cli import main as payments
from operations.requests import new_id

USUAL: Final[Mapping[str, str]] = {"SMOKE_AMOUNT": "1.00", "SMOKE_CURRENCY": "EUR"}
"""What is paid. Where a real processor charges, it is paid by the customer that the stage names."""

_AT_PROCESSOR: Final = {
    "SMOKE_PROCESSOR_CUSTOMER": "processor_customer",
    "SMOKE_PROCESSOR_PAYMENT_METHOD": "processor_payment_method",
}


def commands(environ: Mapping[str, str], folder: Path) -> Iterator[Sequence[str]]:
    """Yield the arguments of each ``payments`` command, in order.

    Args:
        environ: the variables of the stage.
        folder: where the file that is sent is written.
    """
    values = {**USUAL, **environ}
    who = {field: values[name] for name, field in _AT_PROCESSOR.items() if values.get(name)}
    payment_id = new_id("smoke")
    amount, currency = values["SMOKE_AMOUNT"], values["SMOKE_CURRENCY"]
    options = [part for name, value in who.items() for part in (_option(name), value)]
    yield ("pay", amount, currency, "--id", payment_id, "--yes", *options)
    yield ("refund", payment_id, "--yes")
    file = folder / f"smoke-{payment_id}.csv"
    header = ",".join(("payment_id", "amount", "currency", *who))
    rows = [
        ",".join((f"{payment_id}-row-{number}", amount, currency, *who.values()))
        for number in (1, 2)
    ]
    file.write_text("\n".join((header, *rows, "")))
    yield ("batch", "upload", str(file), "--yes")
    yield ("audit", "verify")
    yield ("books", "prove")


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def run(environ: Mapping[str, str], command: Callable[[Sequence[str]], int], folder: Path) -> int:
    """Run one command after the other and return the exit code of the first that failed, or 0."""
    for arguments in commands(environ, folder):
        print(f"$ payments {' '.join(arguments)}", flush=True)
        if code := command(arguments):
            return code
    return 0


def main() -> int:
    """Run every command against the environment that ``ENVIRONMENT_SUFFIX`` names."""
    with tempfile.TemporaryDirectory() as folder:
        return run(os.environ, payments, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
