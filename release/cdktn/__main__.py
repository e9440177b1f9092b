"""Synthesise the app under cdktn as well, and compare: ``python -m release.cdktn``.

The switch is made on a copy of the sources: two names are replaced, nothing else. Both results must
be equal but for who made them and which AWS provider they ask for. Then Terraform validates what
cdktn made with that provider, which it downloads. The exit code is 0 if all of it holds, 1 if not,
2 if the provider could not be downloaded, so that nothing is known about validity.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lib.config import PROJECT, StackConfig
from local import surroundings
from main import synthesise
from release.stages import STAGES, variables

REPOSITORY: Final = Path(__file__).resolve().parents[2]
CDKTN: Final = REPOSITORY / ".tools/cdktn/bin/python"
SOURCES: Final = ("lib", "lambda", "main.py", ".terraform.lock.hcl")

SWITCH: Final = (
    ("cdktf_cdktf_provider_aws", "cdktn_provider_aws"),
    ("from cdktf import", "from cdktn import"),
)
"""The whole of it: what is replaced by what."""

EXPECTED: Final = frozenset(
    {
        "//.metadata.version",
        "terraform.required_providers.aws.source",
        "terraform.required_providers.aws.version",
    }
)
"""Where both results may differ."""

EQUAL, DIFFERENT, NOT_VALIDATED = range(3)

# The functions' layer is made of the packages of our own environment, which come first once cdktn
# has found its own constructs.
_SYNTHESIS: Final = """
import sys
import cdktn
sources, packages, folder = sys.argv[1:]
sys.path[:0] = sources, packages
from lib.config import StackConfig
from main import synthesise
synthesise(StackConfig.from_env(), folder=folder)
"""


class NotSynthesisedError(Exception):
    """The app does not run under cdktn."""


class NoProviderError(Exception):
    """Terraform could not download the provider."""


def switched(source: str) -> str:
    """Return a source file as it is after the switch."""
    for before, after in SWITCH:
        source = source.replace(before, after)
    return source


def switch(sources: Path, copy: Path) -> int:
    """Copy the sources, make the switch there, and return how many lines it changed."""
    for name in SOURCES:
        if (sources / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(sources / name, copy / name, ignore=ignored)
        else:
            shutil.copy(sources / name, copy / name)
    changed = 0
    for file in copy.rglob("*.py"):
        before = file.read_text()
        after = switched(before)
        changed += sum(map(str.__ne__, before.splitlines(), after.splitlines()))
        file.write_text(after)
    return changed


def synthesise_under_cdktn(sources: Path, stage: str, folder: Path) -> None:
    """Synthesise a stage with cdktn, in its own environment.

    Raises:
        NotSynthesisedError: it failed; the message has the end of its output.
    """
    packages = sysconfig.get_paths()["purelib"]
    ran = subprocess.run(
        [str(CDKTN), "-P", "-c", _SYNTHESIS, str(sources), packages, str(folder)],
        capture_output=True,
        check=False,
        cwd=sources,
        env=surroundings.for_tools(os.environ) | dict(variables(stage)),
        text=True,
    )
    if ran.returncode:
        raise NotSynthesisedError(f"cdktn did not synthesise {stage}:\n{ran.stderr[-2000:]}")


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each place where two JSON documents differ, with both values; None where one has none.

    >>> list(differences({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}))
    [('a.b', 1, 2), ('a.c', None, 3)]
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}.{name}" if path else name
            yield from differences(before.get(name), after.get(name), inner)
    elif before != after:
        yield path, before, after


def compare(before: Path, after: Path) -> tuple[list[str], list[str]]:
    """Compare two folders with one synthesised stack each.

    Returns:
        The differences that are expected, and those that are not, as sentences.
    """
    forks = ({_name(folder, file): file for file in _files(folder)} for folder in (before, after))
    first, second = forks
    expected: list[str] = []
    others = [
        f"{name} is only under {'CDKTF' if name in first else 'cdktn'}"
        for name in sorted(first.keys() ^ second.keys())
    ]
    others += [
        f"{name} has other bytes"
        for name in sorted(first.keys() & second.keys())
        if Path(name).name not in {"cdk.tf.json", "manifest.json"}
        and first[name].read_bytes() != second[name].read_bytes()
    ]
    (one,), (other,) = (folder.glob("stacks/*/cdk.tf.json") for folder in (before, after))
    for path, old, new in differences(json.loads(one.read_text()), json.loads(other.read_text())):
        (expected if path in EXPECTED else others).append(f"{path}: {old} → {new}")
    return expected, others


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file())


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def validate(stack: Path) -> list[str]:
    """Return what Terraform finds in a synthesised stack, warnings included.

    Raises:
        NoProviderError: the provider could not be downloaded.
    """
    # It pins the provider of today.
    (stack / ".terraform.lock.hcl").unlink(missing_ok=True)
    environment = surroundings.for_tools(os.environ)

    def terraform(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", f"-chdir={stack}", *arguments],
            capture_output=True,
            check=False,
            env=environment,
            text=True,
        )

    initialised = terraform("init", "-backend=false", "-input=false", "-no-color")
    if initialised.returncode:
        raise NoProviderError(" ".join(initialised.stderr.split())[:300])
    answer = json.loads(terraform("validate", "-json").stdout)
    return [
        f"{each['severity']}: {each['summary']}: {each.get('detail', '')}"
        for each in answer["diagnostics"]
    ]


def main() -> int:
    """Compare the disposable stage and the protected one, validate, and return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch) / "sources"
        sources.mkdir()
        print(f"The switch changes {switch(REPOSITORY, sources)} lines of main.py and lib.")
        code = EQUAL
        for stage in (STAGES[0], STAGES[-1]):
            before, after = (Path(scratch) / stage / fork for fork in ("cdktf", "cdktn"))
            before.parent.mkdir()
            synthesise(StackConfig.from_env(variables(stage)), folder=str(before))
            synthesise_under_cdktn(sources, stage, after)
            expected, others = compare(before, after)
            print(f"{stage}: {'different' if others else 'equal'}, but for the expected:")
            for each in expected:
                print(f"  {each}")
            for each in others:
                code = DIFFERENT
                print(f"  not expected: {each}")
            try:
                found = validate(after / "stacks" / f"{PROJECT}-{stage}")
            except NoProviderError as error:
                code = code or NOT_VALIDATED
                print(f"  not validated, which needs Terraform's registry: {error}")
                continue
            print(f"  validated: {len(found)} remarks")
            for each in found:
                print(f"  {each}")
                if each.startswith("error"):
                    code = DIFFERENT
    return code


if __name__ == "__main__":
    sys.exit(main())
