"""The documentation names what there is: links, files, rooms and keys."""

import re
import shlex
from pathlib import Path

import pytest

import lib
import payments
from operations.cli import _parser
from payments.aws import keys

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
FOLDERS = ("benchmarks", "docs", "lambda", "lib", "local", "operations", "samples", "tests")


def anchors(page: Path) -> set[str]:
    """Return what a link may lead to within a page, as GitHub names its headings."""
    text = page.read_text()
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    named = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([a-z0-9-]+)"></a>', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_exists(page: Path) -> None:
    for path in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_every_file_of_a_recipe_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipes = text[text.index("## Recipes") : text.index("## Dependencies")]
    rooms = "|".join(path.name for path in (ROOT / "lambda/payments").iterdir() if path.is_dir())
    paths = re.findall(rf"`((?:{rooms})/[\w./-]*)`", recipes)
    assert paths
    assert [path for path in paths if not (ROOT / "lambda/payments" / path).exists()] == []


COMMANDS = [
    pytest.param(command, id=f"{page.name} {command}")
    for page in PAGES
    for command in re.findall(r"(?m)^ *pipenv run payments (.+)$", page.read_text())
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_documentation_can_be_given(command: str) -> None:
    arguments = shlex.split(re.sub(r'"\$\w+"', "dev", command.partition(" > ")[0]))
    if arguments != ["--help"]:
        assert _parser().parse_args(arguments).run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text()))
    assert set(re.findall(r"(?m)(?:^|`)make ([a-z0-9-]+)", page.read_text())) <= targets


@pytest.mark.parametrize("package", [lib, payments], ids=["lib", "payments"])
def test_the_rooms_and_their_rules_are_those_of_the_code(package: object) -> None:
    rows = re.findall(r"(?m)^(\w+) {2,}\S.* {2,}(\S.*)$", str(package.__doc__))
    rules = [row for row in rows if row[0] != "room"]
    assert rules
    for room, allowed in rules:
        assert re.search(rf"(?m)^\| `{room}` \|.*\| {re.escape(allowed)} \|$", ARCHITECTURE), room


def test_the_keys_are_those_of_the_code() -> None:
    patterns = re.findall(r"``(\S*{\S*})``", str(keys.__doc__))
    assert patterns
    assert [key for key in patterns if f"`{key}`" not in ARCHITECTURE] == []
