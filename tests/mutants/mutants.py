"""The mutants of a module: what cosmic-ray changes, without what proves nothing."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

FUNCTION_CODE: Final = Path(__file__).parents[2] / "lambda"

ROOMS: Final[Mapping[str, str]] = {
    "core": "payments/core/*.py",
    "flows": "payments/flows/*.py",
    "gateways": "payments/gateways/**/*.py",
    "batches": "payments/batches/*.py",
    "aws": "payments/aws/*.py",
    "entry-points": "*.py",
}
"""Where each room's modules are, below the function code."""

_REPLACEMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Add": ("Sub",),
    "Sub": ("Add",),
    "Mul": ("FloorDiv",),
    "FloorDiv": ("Mul",),
    "Mod": ("FloorDiv",),
    "Pow": ("Mul",),
    "BitOr": ("BitAnd",),
    "BitAnd": ("BitOr",),
    "Lt": ("LtE", "GtE"),
    "LtE": ("Lt", "Gt"),
    "Gt": ("GtE", "LtE"),
    "GtE": ("Gt", "Lt"),
    "Eq": ("NotEq",),
    "NotEq": ("Eq",),
    "Is": ("IsNot",),
    "IsNot": ("Is",),
    "In": ("NotIn",),
    "NotIn": ("In",),
}
"""What an operator becomes: its neighbour and its opposite. The others are seen by the same tests."""


class Name(NamedTuple):
    """What a mutant is called: without its line number, which moves.

    ``occurrence`` tells mutants apart that are alike in all else, counted from 1.
    """

    module: str
    function: str
    before: str
    after: str
    occurrence: int = 1

    def __str__(self) -> str:
        """In words."""
        again = f" ({self.occurrence})" if self.occurrence > 1 else ""
        return f"{self.module} {self.function}: {self.before} → {self.after}{again}"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. ``lines`` are those of the statement it is in: first and last, both included."""

    name: Name
    line: int
    lines: tuple[int, int]
    source: str = field(repr=False)

    @property
    def path(self) -> Path:
        """The file that is changed."""
        return FUNCTION_CODE / self.name.module


def modules(room: str) -> list[Path]:
    """Return the modules of a room."""
    found = sorted(FUNCTION_CODE.glob(ROOMS[room]))
    return [each for each in found if each.name != "__init__.py"]


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield the mutants of a module, in the order of cosmic-ray's operators."""
    source = path.read_text()
    outline = _Outline(ast.parse(source))
    counts: Counter[Name] = Counter()
    for changed in _changed(source, outline):
        before, after = source.splitlines(), changed.splitlines()
        pairs = enumerate(zip(before, after, strict=False), start=1)
        line = next(number for number, (old, new) in pairs if old != new)
        name = Name(
            str(path.relative_to(FUNCTION_CODE)),
            outline.function(line),
            before[line - 1].strip(),
            after[line - 1].strip(),
        )
        counts[name] += 1
        named = name._replace(occurrence=counts[name])
        yield Mutant(named, line, outline.statement(line), changed)


def _changed(source: str, outline: "_Outline") -> Iterator[str]:
    tree = get_ast(source)
    made: set[str] = set()
    for name in plugins.operator_names():
        if not _is_wanted(name):
            continue
        operator = plugins.get_operator(name)()
        positions = [
            position for node in ast_nodes(tree) for position in operator.mutation_positions(node)
        ]
        for occurrence, (start, _end) in enumerate(positions):
            if outline.is_type(start):
                continue
            try:
                changed = mutate_code(source, operator, occurrence)
            except AttributeError:
                # cosmic-ray cannot replace an exception that is named with its module.
                continue
            if changed is not None and changed not in made and _compiles(changed):
                made.add(changed)
                yield changed


def _is_wanted(name: str) -> bool:
    kind, _, change = name.removeprefix("core/").partition("_")
    if kind in {"ReplaceBinaryOperator", "ReplaceComparisonOperator"}:
        before, _, after = change.partition("_")
        return after in _REPLACEMENTS.get(before, ())
    # What a decorator of ours does is to register, to cache or to log.
    return kind != "VariableInserter" and "Variable" not in kind and kind != "RemoveDecorator"


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


class _Outline:
    """Where a module has its functions, statements and types."""

    def __init__(self, tree: ast.Module) -> None:
        self._functions: list[tuple[int, int, str]] = []
        self._statements: list[tuple[int, int]] = []
        self._types: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self._visit(tree, ())

    def function(self, line: int) -> str:
        """Return the innermost function or class around a line, such as ``Store.put``."""
        around = [each for each in self._functions if each[0] <= line <= each[1]]
        return max(around)[2] if around else "module"

    def statement(self, line: int) -> tuple[int, int]:
        """Return first and last line of the shortest statement around a line."""
        around = [each for each in self._statements if each[0] <= line <= each[1]]
        return min(around, key=lambda each: each[1] - each[0], default=(line, line))

    def is_type(self, position: tuple[int, int]) -> bool:
        """Whether a type is written there: changed, it fails at import or does nothing at all."""
        return any(first <= position < last for first, last in self._types)

    def _visit(self, node: ast.AST, names: tuple[str, ...]) -> None:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names = (*names, node.name)
            self._functions.append((node.lineno, node.end_lineno or 0, ".".join(names)))
        if isinstance(node, ast.stmt):
            # Of a statement with a body, such as "if", only the head counts.
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or 0
            self._statements.append((node.lineno, max(node.lineno, last)))
        written: list[Any] = [
            getattr(node, "annotation", None),
            getattr(node, "returns", None),
            node.value if isinstance(node, ast.TypeAlias) else None,
        ]
        self._types.extend(
            ((each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0))
            for each in written
            if isinstance(each, ast.expr)
        )
        for child in ast.iter_child_nodes(node):
            self._visit(child, names)
