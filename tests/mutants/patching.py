"""A changed function in place of the original, in a process that has imported it already."""

import gc
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tests.mutants.mutants import Mutant

type Functions = Mapping[tuple[str, str, int], list[FunctionType]]
"""Every function of ours that exists, by file, qualified name and first line."""


def functions_below(folder: Path) -> Functions:
    """Return all functions whose code is below a folder, wrapped ones included."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename.startswith(str(folder)):
            found.setdefault(_key(each.__code__), []).append(each)
    return found


def changed_functions(
    mutant: Mutant, functions: Functions, imported: Iterable[int]
) -> list[tuple[FunctionType, CodeType]] | None:
    """Return the functions that a mutant changes, with their new code.

    Returns:
        None if it changes something that importing its module has done already: a constant, a
        default, or a function that was called. ``imported`` are the lines that ran.
    """
    path = str(mutant.path)
    ran = set(imported)
    pairs = list(
        _differing(
            compile(mutant.path.read_text(), path, "exec"), compile(mutant.source, path, "exec")
        )
    )
    changed: list[tuple[FunctionType, CodeType]] = []
    for old, new in pairs:
        live = functions.get(_key(old)) if old.co_flags & _IS_FUNCTION else None
        if not live or ran & _lines(old) or old.co_freevars != new.co_freevars:
            return None
        changed.extend((each, new) for each in live)
    return changed or None


_IS_FUNCTION = 0x2
"""CO_NEWLOCALS: set for functions, and not for modules and classes."""


def replace_source(mutant: Mutant) -> None:
    """Have whoever imports the module from now on import the mutant."""
    path = str(mutant.path)
    get_code = SourceFileLoader.get_code

    def changed(self: SourceFileLoader, fullname: str) -> Any:
        if self.path == path:
            return compile(mutant.source, path, "exec")
        return get_code(self, fullname)

    SourceFileLoader.get_code = changed  # type: ignore[method-assign,assignment]


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _lines(code: CodeType) -> set[int]:
    """Return the lines of a function's body; its first one also runs when it is defined."""
    lines = {line for _, _, line in code.co_lines() if line is not None}
    for inner in _inner(code):
        lines |= _lines(inner)
    return lines - {code.co_firstlineno}


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _differing(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield pairs of outermost functions, classes or modules whose own code differs."""
    if old.co_flags & _IS_FUNCTION:
        if _body(old, deep=True) != _body(new, deep=True):
            yield old, new
        return
    before, after = _inner(old), _inner(new)
    if _body(old, deep=False) != _body(new, deep=False) or len(before) != len(after):
        yield old, new
        return
    for each in zip(before, after, strict=True):
        yield from _differing(*each)


def _body(code: CodeType, *, deep: bool) -> tuple[Any, ...]:
    """Return what a code object does, apart from where it is written."""
    plain = [(type(c), repr(c)) for c in code.co_consts if not isinstance(c, CodeType)]
    inner = [_body(each, deep=True) for each in _inner(code)] if deep else []
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_name, code.co_code, plain, names, code.co_exceptiontable, inner
