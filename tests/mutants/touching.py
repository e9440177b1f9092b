"""Which test runs which line of the functions, and how long it takes."""

import ast
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Final

from tests.mutants.mutants import FUNCTION_CODE, Mutant

ROOT: Final = Path(__file__).parents[2]
_TOOL: Final = sys.monitoring.COVERAGE_ID


@dataclass(slots=True)
class Touched:
    """What ran: for each module (below the function code) its lines. ``seconds`` are of the CPU."""

    seconds: float = 0.0
    lines: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def touches(self, module: str, lines: Iterable[int]) -> bool:
        """Whether one of these lines of a module ran."""
        ran = self.lines.get(module)
        return ran is not None and not ran.isdisjoint(lines)

    def to_json(self) -> dict[str, Any]:
        """As a document."""
        lines = {module: sorted(ran) for module, ran in self.lines.items()}
        return {"seconds": round(self.seconds, 4), "lines": lines}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Touched":
        """From a document."""
        lines = {module: set(ran) for module, ran in document["lines"].items()}
        return cls(document["seconds"], lines)


class Watch:
    """Notices each line of the functions that runs, in any thread, for close to no time."""

    def __init__(self) -> None:
        self._prefix = f"{FUNCTION_CODE}/"
        self._seen: set[tuple[str, int]] = set()
        sys.monitoring.use_tool_id(_TOOL, "mutants")
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.LINE, self._line)
        sys.monitoring.set_events(_TOOL, sys.monitoring.events.LINE)
        self._started = time.process_time()

    def again(self) -> None:
        """Forget what ran, and notice all lines anew."""
        self._seen.clear()
        sys.monitoring.restart_events()
        self._started = time.process_time()

    def touched(self) -> Touched:
        """Return what ran since the watch was started, or started again."""
        found = Touched(time.process_time() - self._started)
        for path, line in self._seen:
            found.lines[path.removeprefix(self._prefix)].add(line)
        return found

    def end(self) -> None:
        """Notice no more."""
        sys.monitoring.set_events(_TOOL, sys.monitoring.events.NO_EVENTS)
        sys.monitoring.free_tool_id(_TOOL)

    def _line(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(self._prefix):
            self._seen.add((code.co_filename, line))
        return sys.monitoring.DISABLE


class Record:
    """What tests touch, kept in a file for each file of tests, as long as it holds.

    It holds until the tests change, or what all tests share, or a module that they touch.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._basis = digest(_shared())
        self._known: dict[str, dict[str, Touched]] = {}

    def missing(self, tests: Iterable[str]) -> list[str]:
        """Return the tests, by node id, of which it is not known what they touch."""
        return [test for test in tests if test not in self._of(file_of(test))]

    def put(self, tests: str, measured: Mapping[str, Touched]) -> None:
        """Remember what the tests of a file touch."""
        document = {
            "basis": self._basis,
            "tests": tests,
            "digest": digest([ROOT / tests]),
            "modules": {
                module: digest([FUNCTION_CODE / module])
                for module in sorted({each for ran in measured.values() for each in ran.lines})
            },
            "touched": {test: ran.to_json() for test, ran in measured.items()},
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file(tests).write_text(json.dumps(document))
        self._known[tests] = dict(measured)

    def read(self, tests: Iterable[str]) -> dict[str, Touched]:
        """Return what each test touches."""
        return {test: self._of(file_of(test))[test] for test in tests}

    def all(self) -> dict[str, Touched]:
        """Return what each known test touches."""
        files = [json.loads(each.read_text())["tests"] for each in self._folder.glob("*.json")]
        return {test: ran for each in files for test, ran in self._of(each).items()}

    def _of(self, tests: str) -> dict[str, Touched]:
        if tests not in self._known:
            self._known[tests] = self._read(tests)
        return self._known[tests]

    def _read(self, tests: str) -> dict[str, Touched]:
        file = self._file(tests)
        if not file.exists() or not (ROOT / tests).exists():
            return {}
        document = json.loads(file.read_text())
        modules = {FUNCTION_CODE / name: known for name, known in document["modules"].items()}
        if (
            document["basis"] != self._basis
            or document["digest"] != digest([ROOT / tests])
            or any(not each.exists() or digest([each]) != known for each, known in modules.items())
        ):
            return {}
        return {test: Touched.from_json(ran) for test, ran in document["touched"].items()}

    def _file(self, tests: str) -> Path:
        return self._folder / f"{tests.replace('/', '.')}.json"


def digest(files: Iterable[Path]) -> str:
    """Return a digest of files and their names."""
    total = hashlib.sha256()
    for each in sorted(files):
        total.update(str(each.relative_to(ROOT)).encode() + b"\0" + each.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def _shared() -> list[Path]:
    """Return what all tests depend on."""
    found = [
        each
        for folder in ("unit", "simulation")
        for each in (ROOT / "tests" / folder).rglob("*.py")
        if not each.name.startswith("test_")
    ]
    return [*found, ROOT / "pyproject.toml"]


def file_of(test: str) -> str:
    """Return the file of a test."""
    return test.partition("::")[0]


def that_notice(mutant: Mutant, tests: Mapping[str, Touched]) -> list[str]:
    """Return the tests that can notice a mutant, the fastest first.

    Those that run its statement. What runs when the module is imported, such as a constant or a
    default, is noticed by those that run a line that names it, or else by any of its module.
    """
    statement = range(mutant.lines[0], mutant.lines[1] + 1)
    places: list[tuple[str, Sequence[int]]] = [(mutant.name.module, statement)]
    if _is_definition(mutant):
        places = _where_named(mutant)
    found = [test for test, ran in tests.items() if any(ran.touches(*place) for place in places)]
    if not found and _is_definition(mutant):
        found = [test for test, ran in tests.items() if mutant.name.module in ran.lines]
    return sorted(found, key=lambda test: tests[test].seconds)


def _is_definition(mutant: Mutant) -> bool:
    return bool(_defined(mutant))


def _defined(mutant: Mutant) -> set[str]:
    """Return the names that the changed statement gives a value, if importing it does so."""
    tree = _tree(mutant.path)
    found: set[str] = set()
    for node, scope in _statements(tree, in_function=False):
        if node.lineno <= mutant.line <= (node.end_lineno or 0):
            if isinstance(node, ast.FunctionDef):
                # Its head: defaults and decorators. Its body runs with it.
                if mutant.line < node.body[0].lineno:
                    found.add(node.name)
            elif isinstance(node, ast.Assign):
                found.update(each.id for each in node.targets if isinstance(each, ast.Name))
                found.update(scope)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
                found.update(scope)
    return found


def _statements(
    node: ast.AST, *, in_function: bool, scope: tuple[str, ...] = ()
) -> Iterator[tuple[ast.stmt, tuple[str, ...]]]:
    """Yield the statements that importing a module runs, and the classes that they are in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt) and not in_function:
            yield child, scope
            inner = (child.name,) if isinstance(child, ast.ClassDef) else scope
            yield from _statements(
                child, in_function=isinstance(child, ast.FunctionDef), scope=inner
            )


def _where_named(mutant: Mutant) -> list[tuple[str, Sequence[int]]]:
    """Return the lines in functions that name what a statement defines, or what depends on it."""
    names, known = _defined(mutant), set[str]()
    lines: dict[str, list[int]] = defaultdict(list)
    while names:
        name = names.pop()
        known.add(name)
        for module, line, definer in _mentions().get(name, ()):
            if definer is None:
                lines[module].append(line)
            elif definer not in known:
                names.add(definer)
    return list(lines.items())


@cache
def _mentions() -> Mapping[str, list[tuple[str, int, str | None]]]:
    """Return where each name is read: module, line, and which name is defined there, if one is."""
    found: dict[str, list[tuple[str, int, str | None]]] = defaultdict(list)
    for path in FUNCTION_CODE.rglob("*.py"):
        module = str(path.relative_to(FUNCTION_CODE))
        _mention(_tree(path), module, None, found)
    return found


def _mention(
    node: ast.AST,
    module: str,
    definer: str | None,
    found: dict[str, list[tuple[str, int, str | None]]],
    *,
    in_function: bool = False,
) -> None:
    for child in ast.iter_child_nodes(node):
        inside, of = in_function, definer
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            inside, of = True, None
        elif not in_function and isinstance(child, ast.Assign | ast.AnnAssign):
            target = child.targets[0] if isinstance(child, ast.Assign) else child.target
            of = target.id if isinstance(target, ast.Name) else None
        elif not in_function and isinstance(child, ast.ClassDef):
            of = child.name
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            found[child.id].append((module, child.lineno, of))
        elif isinstance(child, ast.Attribute):
            found[child.attr].append((module, child.lineno, of))
        elif isinstance(child, ast.keyword) and child.arg and inside:
            found[child.arg].append((module, child.lineno, of))
        _mention(child, module, of, found, in_function=inside)
    if isinstance(node, ast.FunctionDef):
        # What a function of this name runs is named by its first line of code.
        first = node.body[-1] if len(node.body) == 1 else node.body[1]
        found[node.name].append((module, first.lineno, None))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())
