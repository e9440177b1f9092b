"""Look up known weaknesses of all that the locks pin: ``python -m release.audit [FILE]``.

``pip-audit`` asks osv.dev about ``Pipfile.lock``, and ``npm audit`` asks the registry of npm about
``package-lock.json``. The exit code is 0 if nothing is left, 1 for weaknesses, 2 if one of them got
no answer. What was found goes into FILE as JSON.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lib.kit.assets import LAYER_DISTRIBUTIONS

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PIP_AUDIT: Final = REPOSITORY / ".tools/pip-audit/bin/pip-audit"
ACCEPTED: Final = Path(__file__).with_name("accepted.toml")

NOTHING, WEAK, NO_ANSWER = range(3)


class NoAnswerError(Exception):
    """A database was not asked, or gave no answer: nothing is known."""


class UnreadableDecisionsError(Exception):
    """``accepted.toml`` says something else than which weakness, why and until when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """A known weakness of one package that a lock pins."""

    id: str
    aliases: tuple[str, ...] = ()
    package: str
    version: str
    title: str
    ships: bool
    """Whether the functions carry the package; everything else stays on the machines of people."""

    @property
    def sentence(self) -> str:
        """Say what is wrong."""
        carried = "which the functions carry" if self.ships else "a tool"
        return f"{self.package} {self.version} ({carried}): {self.id}: {self.title}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A weakness that we live with."""

    reason: str
    until: dt.date


def requirements(lock: Mapping[str, Any]) -> str:
    """Return everything that ``Pipfile.lock`` pins, as a list of requirements with hashes."""
    pinned = {**lock["develop"], **lock["default"]}
    return "".join(
        f"{name}{each['version']} ; {each.get('markers', 'python_version > "3"')} "
        f"{' '.join(f'--hash={digest}' for digest in sorted(each['hashes']))}\n"
        for name, each in sorted(pinned.items())
    )


def of_python() -> list[Weakness]:
    """Ask osv.dev about the packages of ``Pipfile.lock``.

    Raises:
        NoAnswerError: there was no answer.
    """
    lock = json.loads((REPOSITORY / "Pipfile.lock").read_text())
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(requirements(lock))
        answer = _answer(
            [
                *(str(PIP_AUDIT), "--requirement", str(listed), "--disable-pip"),
                *("--vulnerability-service", "osv", "--progress-spinner", "off"),
                *("--format", "json"),
            ]
        )
    return list(read_pip_audit(answer))


def of_node() -> list[Weakness]:
    """Ask npm's registry about the packages of ``package-lock.json``.

    Raises:
        NoAnswerError: there was no answer.
    """
    return list(read_npm_audit(_answer(["npm", "audit", "--json", "--package-lock-only"])))


def _answer(command: Sequence[str]) -> Any:
    ran = subprocess.run(command, capture_output=True, check=False, cwd=REPOSITORY, text=True)
    try:
        return json.loads(ran.stdout)
    except ValueError:
        last = (ran.stderr.strip() or "nothing").splitlines()[-1]
        raise NoAnswerError(f"{Path(command[0]).name} gave no answer: {last}") from None


def read_pip_audit(answer: Mapping[str, Any]) -> Iterator[Weakness]:
    """Yield what pip-audit found.

    Raises:
        NoAnswerError: it did not look at a package.
    """
    for package in answer["dependencies"]:
        if "skip_reason" in package:
            raise NoAnswerError(f"pip-audit skipped {package['name']}: {package['skip_reason']}")
        for found in package["vulns"]:
            yield Weakness(
                id=found["id"],
                aliases=tuple(found["aliases"]),
                package=package["name"],
                version=package["version"],
                title=(found["description"].strip() or "no description").splitlines()[0],
                ships=package["name"] in LAYER_DISTRIBUTIONS,
            )


def read_npm_audit(answer: Mapping[str, Any]) -> Iterator[Weakness]:
    """Yield what npm found: each advisory once, not once for each package that is affected by it.

    Raises:
        NoAnswerError: the registry did not answer.
    """
    if "vulnerabilities" not in answer:
        raise NoAnswerError(f"npm audit gave no answer: {answer.get('message', answer)}")
    seen = set()
    for package in answer["vulnerabilities"].values():
        for advisory in package["via"]:
            # A name stands for a package below, which is listed itself.
            if isinstance(advisory, str) or advisory["url"] in seen:
                continue
            seen.add(advisory["url"])
            yield Weakness(
                id=advisory["url"].rpartition("/")[2],
                package=advisory["name"],
                version=advisory["range"],
                title=f"{advisory['title']} ({advisory['severity']})",
                ships=False,
            )


def decisions(file: Path = ACCEPTED) -> dict[str, Decision]:
    """Return what was decided about known weaknesses, by their ids.

    Raises:
        UnreadableDecisionsError: the file is not as its first lines say.
    """
    found = {}
    for entry in tomllib.loads(file.read_text()).get("accepted", ()):
        reason, until = entry.get("reason"), entry.get("until")
        if entry.keys() != {"id", "reason", "until"} or not reason.strip():
            raise UnreadableDecisionsError(f"{file}: an entry needs id, reason and until: {entry}")
        if type(until) is not dt.date:
            raise UnreadableDecisionsError(f"{file}: until is a day such as 2027-03-01: {entry}")
        found[entry["id"]] = Decision(reason=reason, until=until)
    return found


def left(
    found: Iterable[Weakness], decided: Mapping[str, Decision], *, today: dt.date
) -> list[Weakness]:
    """Return the weaknesses that nobody decided to live with, or not as long as until today."""
    known = {id_ for id_, decision in decided.items() if today < decision.until}
    return [each for each in found if known.isdisjoint({each.id, *each.aliases})]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask both, print what is left, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.audit", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    file: Path | None = parser.parse_args(arguments).file
    found: list[Weakness] = []
    silent = []
    for ask in (of_python, of_node):
        try:
            found += ask()
        except NoAnswerError as error:
            silent.append(str(error))
    open_ = left(found, decisions(), today=dt.datetime.now(dt.UTC).date())
    if file:
        document = {"found": [asdict(each) for each in found], "silent": silent}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=2) + "\n")
    for weakness in open_:
        print(weakness.sentence)
    for each in silent:
        print(each, file=sys.stderr)
    if silent:
        print(
            "What is pinned was not looked up completely. That needs the internet: pip-audit asks "
            "https://api.osv.dev, npm audit the registry that npm is configured for.",
            file=sys.stderr,
        )
    else:
        print(f"{len(found)} known weaknesses, {len(found) - len(open_)} of them accepted")
    if open_:
        return WEAK
    return NO_ANSWER if silent else NOTHING


if __name__ == "__main__":
    sys.exit(main())
