"""Who may import whom, as the tables in ``lib/__init__.py`` and ``payments/__init__.py`` say."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"lib": ROOT / "lib", "payments": ROOT / "lambda/payments"}

FROM_ANYWHERE = {"lib": ["config", "environment"], "payments": []}
NOT_IN_THE_TABLES = {
    "lib.__init__": "bindings",
    "payments.__init__": "nothing of ours",
    "payments.entry_point": "runtime, api, telemetry, core, flows, batches",
}
READ_THE_ENVIRONMENT = ("payments.runtime", "payments.telemetry", "lib.config", "lib.bindings")
ONLY_IN = {
    r"boto3|botocore": ("payments.aws", "payments.runtime"),
    r"os\.(environ|getenv)": READ_THE_ENVIRONMENT,
}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            yield ".".join([package, *path.relative_to(folder).with_suffix("").parts]), path
    for path in (ROOT / "lambda").glob("*.py"):
        yield f"payments.entry_point.{path.stem}", path


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def table() -> dict[str, str]:
    """Return what each room may import, in the words of its package's docstring."""
    rows = dict(NOT_IN_THE_TABLES)
    for package, folder in PACKAGES.items():
        text = (folder / "__init__.py").read_text()
        for room, allowed in re.findall(r"(?m)^(\w+) {2,}\S.* {2,}(\S.*)$", text):
            if room != "room":
                rows[f"{package}.{room}"] = allowed
    return rows


def uses(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything that is imported or taken from ``os``."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, each.name) for each in names)
            case ast.ImportFrom(module=module, names=names):
                yield from ((node.lineno, f"{module}.{each.name}") for each in names)
            case ast.Attribute(value=ast.Name(id="os"), attr=name):
                yield node.lineno, f"os.{name}"


def may_import(room: str) -> set[str]:
    package, rows = room.partition(".")[0], table()
    if rows[room] == "all of them":
        return {each for each in rows if each.startswith(f"{package}.")}
    named = [*rows[room].split(", "), *FROM_ANYWHERE[package]]
    return {room, *(f"{package}.{each}" for each in named)}


def faults(module: str, source: str) -> Iterator[str]:
    """Yield each use that breaks a rule: its line, its name and the rule."""
    room = room_of(module)
    allowed = may_import(room)
    for line, name in uses(source):
        if name.split(".")[0] in PACKAGES and room_of(name) not in allowed:
            yield f"{line}: {name}: {room} may import {table()[room]}"
        for pattern, rooms in ONLY_IN.items():
            if re.match(rf"({pattern})\b", name) and room not in rooms:
                yield f"{line}: {name}: only {', '.join(rooms)} may use it"


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    assert set(table()) == {room_of(module) for module, _ in modules()}


def test_no_room_imports_or_uses_what_it_may_not() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{fault}"
        for module, path in modules()
        for fault in faults(module, path.read_text())
    ]
    assert not found, "\n".join(found)


def test_no_modules_of_the_stack_import_each_other_in_a_circle() -> None:
    """``environment`` is made of parts of ``kit``, whose other parts are given it."""
    paths = {module: path for module, path in modules() if module.startswith("lib.")}
    graph = {
        module: {
            imported
            for _, name in uses(path.read_text())
            for imported in (name, name.rpartition(".")[0])
            if imported in paths
        }
        for module, path in paths.items()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        (
            "lib.kit.queue",
            "from lib.watch import alarms",
            "1: lib.watch.alarms: lib.kit may import nothing of ours",
        ),
        (
            "lib.workflows.sweep",
            "\nimport lib.edge.api",
            "2: lib.edge.api: lib.workflows may import kit, foundation, functions",
        ),
        (
            "lib.tap_stack",
            "from payments.core import money",
            "1: payments.core.money: lib.tap_stack may import all of them",
        ),
        (
            "payments.runtime.clients",
            "from lib.config import PROJECT",
            "1: lib.config.PROJECT: payments.runtime may import all of them",
        ),
        (
            "payments.core.audit",
            "from botocore.exceptions import ClientError",
            "1: botocore.exceptions.ClientError: only payments.aws, payments.runtime may use it",
        ),
        (
            "lib.kit.assets",
            "import os\nos.environ['X']",
            f"2: os.environ: only {', '.join(READ_THE_ENVIRONMENT)} may use it",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_line(module: str, source: str, fault: str) -> None:
    assert list(faults(module, source)) == [fault]
