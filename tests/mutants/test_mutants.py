"""Mutants have names that last, get the tests that can notice them, and survive with a reason only."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants import mutants, patching, touching
from tests.mutants.mutants import FUNCTION_CODE, Mutant, Name
from tests.mutants.patching import changed_functions, functions_below
from tests.mutants.results import Result, Results
from tests.mutants.survivors import complaints, read_explanations
from tests.mutants.touching import Touched, that_notice

SOURCE = '''
"""A module."""

from dataclasses import dataclass

LIMIT = 3
DOUBLE = LIMIT * 2


@dataclass
class Box:
    """Something with a size."""

    size: int | None = 1

    def is_small(self) -> bool:
        return self.size < LIMIT


def grown(size: int, by: int = 1) -> int:
    """Return a larger size."""
    return size + by


def is_large(size: int) -> bool:
    """Tell."""
    return size > DOUBLE


IS_LARGE = is_large(7)
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of function code."""
    for tool in (mutants, patching, touching):
        if hasattr(tool, "FUNCTION_CODE"):
            monkeypatch.setattr(tool, "FUNCTION_CODE", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    touching._mentions.cache_clear()
    path = tmp_path / "boxes.py"
    path.write_text(SOURCE)
    yield path
    touching._mentions.cache_clear()
    sys.modules.pop("boxes", None)


def found(path: Path) -> dict[str, Mutant]:
    return {str(each.name): each for each in mutants.mutants(path)}


def one(path: Path, after: str) -> Mutant:
    [mutant] = [each for each in mutants.mutants(path) if each.name.after == after]
    return mutant


def line_of(text: str) -> int:
    return SOURCE.splitlines().index(text) + 1


def test_each_mutant_is_one_change_of_one_line(module: Path) -> None:
    changes = [(each.name.function, each.name.after) for each in mutants.mutants(module)]
    assert ("grown", "return size - by") in changes
    assert ("Box.is_small", "return self.size <= LIMIT") in changes
    assert ("module", "LIMIT = 4") in changes
    assert len(changes) == len(set(changes))


def test_a_type_is_not_changed(module: Path) -> None:
    assert not any("int & None" in name for name in found(module))


def test_a_name_lasts_when_lines_move(module: Path) -> None:
    before = found(module)
    module.write_text("# One more line.\n" + SOURCE)
    assert set(found(module)) == set(before)


def test_mutants_that_are_alike_are_told_apart(module: Path) -> None:
    module.write_text("def same():\n    yield 1 < 2\n    yield 1 < 2\n")
    names = [each.name for each in mutants.mutants(module) if each.name.after == "yield 1 <= 2"]
    assert [name.occurrence for name in names] == [1, 2]


def loaded(module: Path) -> ModuleType:
    return import_module(module.stem)


def test_a_changed_function_takes_the_place_of_the_original(module: Path) -> None:
    boxes = loaded(module)
    functions = functions_below(module.parent)
    [(function, code)] = changed_functions(one(module, "return size - by"), functions, ()) or []
    function.__code__ = code
    assert boxes.grown(3, 2) == 1


def test_a_changed_method_takes_the_place_of_the_original(module: Path) -> None:
    boxes = loaded(module)
    mutant = one(module, "return self.size >= LIMIT")
    for function, code in changed_functions(mutant, functions_below(module.parent), ()) or ():
        function.__code__ = code
    assert not boxes.Box(size=2).is_small()


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("LIMIT = 4", "a constant"),
        ("size: int | None = 2", "what a class body has made"),
        ("def grown(size: int, by: int = 2) -> int:", "a default"),
        ("return size >= DOUBLE", "what importing has called"),
    ],
)
def test_what_importing_has_done_is_not_changed_in_place(
    module: Path, after: str, why: str
) -> None:
    boxes = loaded(module)
    imported = [line_of("    return size > DOUBLE")]
    functions = functions_below(module.parent)
    assert boxes.LIMIT == 3
    assert changed_functions(one(module, after), functions, imported) is None, why


def touched(seconds: float, *lines: str, module: str = "boxes.py") -> Touched:
    return Touched(seconds, {module: {line_of(line) for line in lines}})


def test_a_mutant_gets_the_tests_that_run_its_line_the_fastest_first(module: Path) -> None:
    tests = {
        "slow": touched(2, "    return size + by"),
        "fast": touched(1, "    return size + by"),
        "another": touched(1, "    return size > DOUBLE"),
    }
    assert that_notice(one(module, "return size - by"), tests) == ["fast", "slow"]


def test_a_constant_is_noticed_where_it_is_named_or_what_is_made_of_it(module: Path) -> None:
    tests = {
        "named": touched(1, "        return self.size < LIMIT"),
        "made of it": touched(2, "    return size > DOUBLE"),
        "another": touched(1, "    return size + by"),
    }
    assert that_notice(one(module, "LIMIT = 4"), tests) == ["named", "made of it"]


def test_a_default_is_noticed_where_its_function_runs(module: Path) -> None:
    tests = {
        "runs": touched(1, "    return size + by"),
        "another": touched(1, "    return size > DOUBLE"),
    }
    mutant = one(module, "def grown(size: int, by: int = 2) -> int:")
    assert that_notice(mutant, tests) == ["runs"]


NAME = Name("core/money.py", "parse", "a", "b")


def test_a_survivor_without_an_explanation_is_reported() -> None:
    assert list(complaints({NAME: True}, {}, [])) == [f"survived: {NAME}"]


def test_a_survivor_with_an_explanation_is_not_reported() -> None:
    assert not list(complaints({NAME: True}, {NAME: "because"}, [NAME.module]))


def test_an_explained_mutant_that_is_killed_is_reported() -> None:
    found = list(complaints({NAME: False}, {NAME: "because"}, []))
    assert found == [f"explained, but killed: {NAME}"]


def test_an_explanation_of_nothing_is_reported_where_all_of_a_module_was_looked_at() -> None:
    assert not list(complaints({}, {NAME: "because"}, []))
    found = list(complaints({}, {NAME: "because"}, [NAME.module]))
    assert found == [f"explained, but no mutant: {NAME}"]


def test_every_explanation_is_about_a_line_that_is_there_and_has_a_reason() -> None:
    for name, reason in read_explanations().items():
        lines = (FUNCTION_CODE / name.module).read_text().splitlines()
        assert name.before in map(str.strip, lines), f"no such line: {name}"
        assert reason, name


def test_results_are_there_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.mutants.results.FOLDER", tmp_path)
    killed = Mutant(NAME, 1, (1, 1), "")
    survived = Mutant(NAME._replace(occurrence=2), 1, (1, 1), "")
    first = Results("core")
    first.put(killed, Result("digest", "test_money.py"))
    first.put(survived, Result("digest", None))
    again = Results("core")
    assert again.get(killed) == Result("digest", "test_money.py")
    assert again.survived([killed, survived]) == {killed.name: False, survived.name: True}
