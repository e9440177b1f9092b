"""Every code in the source is documented, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import api_handler
from payments.batches.batch import FILE_GONE
from tests.contract.contract import Contract

SOURCES = Path(api_handler.__file__).parent


def test_every_code_in_the_source_is_documented(contract: Contract) -> None:
    sources = [
        "api_handler.py",
        "payments/api/*.py",
        "payments/core/money.py",
        "payments/core/fields.py",
    ]
    codes = {code for source in sources for code in _codes(source, "FieldError", argument=1)}
    assert codes
    assert codes <= set(contract.codes)


def test_every_code_of_a_batch_in_the_source_is_documented(contract: Contract) -> None:
    reasons = {
        *_codes("payments/*/*.py", "UnreadableFile", "_refuse", argument=0),
        *_values("payments/batches/*.py", "reason_code"),
        FILE_GONE,
    }
    assert reasons == set(contract.reasons)
    reports = contract.resolve("#/components/schemas/BatchReports")["properties"]
    codes = set(_codes("payments/batches/*.py", "FieldError", argument=1))
    assert codes
    assert all(f"`{code}`" in reports["rejected"]["description"] for code in codes)


def _nodes(sources: str) -> Iterator[ast.AST]:
    """Yield the syntax nodes of every file that a pattern names; it must name one."""
    files = sorted(SOURCES.glob(sources))
    assert files, sources
    for file in files:
        yield from ast.walk(ast.parse(file.read_text()))


def _codes(sources: str, *makers: str, argument: int) -> Iterator[str]:
    """Yield the literals that are this argument of calls of functions or methods by name."""
    for node in _nodes(sources):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name in makers and isinstance(node.args[argument], ast.Constant):
                yield ast.literal_eval(node.args[argument])


def _values(sources: str, key: str) -> Iterator[str]:
    """Yield the literals that stand under a key in dictionaries."""
    for node in _nodes(sources):
        if isinstance(node, ast.Dict):
            for name, value in zip(node.keys, node.values, strict=True):
                names_key = isinstance(name, ast.Constant) and name.value == key
                if names_key and isinstance(value, ast.Constant):
                    yield ast.literal_eval(value)
