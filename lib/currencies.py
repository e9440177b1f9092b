"""The decimals of each currency, from the table of the functions: the stack never imports them."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

_TABLE: Final = Path(__file__).resolve().parents[1] / "lambda/payments/core/money.py"
_NAME: Final = "_CODES_BY_EXPONENT"


@cache
def decimals() -> dict[str, int]:
    """Return how many decimals each currency in use has, by its ISO 4217 code.

    Raises:
        LookupError: the functions keep their table under another name.
    """
    for node in ast.parse(_TABLE.read_text()).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict() as table) if (
                name == _NAME
            ):
                found: dict[int, str] = ast.literal_eval(table)
                return {code: most for most, codes in found.items() for code in codes.split()}
    raise LookupError(f"{_TABLE} has no {_NAME}")
