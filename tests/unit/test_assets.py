"""Same source, same bytes; another source, another name, another hash."""

import base64
import compileall
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

from lib.kit.assets import LAYER_DISTRIBUTIONS, Archive, function_archive, layer_archive

ROOT = Path(__file__).resolve().parents[2]

# What the Lambda runtime brings: boto3 and what it needs.
RUNTIME_DISTRIBUTIONS = ("boto3", "botocore", "python-dateutil", "s3transfer", "six", "urllib3")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "payments").mkdir(parents=True)
    (folder / "handler.py").write_text("import payments.models\n")
    (folder / "payments" / "__init__.py").write_text("")
    (folder / "payments" / "models.py").write_text("A = 1\n")
    return folder


def pack(source: Path, name: str = "build") -> Archive:
    return function_archive(root=source, folder=source.parent / name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Archive]:
    folder = tmp_path_factory.mktemp("assets")
    return {"functions": function_archive(folder=folder), "layer": layer_archive(folder=folder)}


def test_the_same_source_gives_the_same_bytes(source: Path) -> None:
    first = pack(source).path.read_bytes()
    assert pack(source, "again").path.read_bytes() == first


def test_when_files_were_written_does_not_matter(source: Path) -> None:
    before = pack(source).hash
    os.utime(source / "handler.py", (0, 0))
    assert pack(source).hash == before


def test_who_may_read_a_file_does_not_matter(source: Path) -> None:
    before = pack(source).hash
    (source / "handler.py").chmod(0o600)
    assert pack(source).hash == before


def test_in_which_order_files_were_made_does_not_matter(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "source"
    for path in sorted(source.rglob("*.py"), reverse=True):
        copy = other / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert pack(other).hash == pack(source).hash


def test_running_the_code_changes_nothing(source: Path) -> None:
    before = pack(source).hash
    assert compileall.compile_dir(source, quiet=1)
    assert list(source.rglob("*.pyc"))
    (source / "notes.txt").write_text("not code")
    assert pack(source).hash == before


def test_a_changed_file_changes_the_hash(source: Path) -> None:
    before = pack(source)
    (source / "payments" / "models.py").write_text("A = 2\n")
    after = pack(source)
    assert after.hash != before.hash
    assert after.path != before.path


def test_a_renamed_file_changes_the_hash(source: Path) -> None:
    before = pack(source).hash
    (source / "payments" / "models.py").rename(source / "payments" / "model.py")
    assert pack(source).hash != before


def test_content_moved_to_another_file_changes_the_hash(source: Path) -> None:
    before = pack(source).hash
    (source / "payments" / "__init__.py").write_text("A = 1\n")
    (source / "payments" / "models.py").write_text("")
    assert pack(source).hash != before


def test_a_zip_is_named_after_its_content_and_lambdas_hash_is_its_own(source: Path) -> None:
    archive = pack(source)
    content = archive.path.read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(archive.path.stem.split("-")[1])
    assert archive.source_code_hash == base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_nothing_is_left_beside_the_zip(source: Path) -> None:
    archive = pack(source)
    assert list(archive.path.parent.iterdir()) == [archive.path]


def test_entries_are_sorted_dated_alike_readable_and_uncompressed(source: Path) -> None:
    with zipfile.ZipFile(pack(source).path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == [
        "handler.py",
        "payments/__init__.py",
        "payments/models.py",
    ]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    # Builds of zlib compress the same bytes differently.
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_one_zip_has_the_handlers_and_the_domain(built: dict[str, Archive]) -> None:
    with zipfile.ZipFile(built["functions"].path) as archive:
        names = set(archive.namelist())
    assert {
        "api_handler.py",
        "batch_processor.py",
        "payment_processor.py",
        "payments/__init__.py",
    } <= names
    assert all(name.endswith(".py") for name in names)


def test_the_layer_holds_pure_python_where_lambda_looks_for_it(built: dict[str, Archive]) -> None:
    with zipfile.ZipFile(built["layer"].path) as archive:
        names = archive.namelist()
    assert names
    assert all(name.startswith("python/") for name in names)
    unwanted = (".so", ".pyd", ".pyc", ".c", ".pyi", ".js")
    assert [name for name in names if name.endswith(unwanted) or ".dist-info" in name] == []


def test_the_layer_is_well_below_lambdas_limits(built: dict[str, Archive]) -> None:
    """50 MB to upload, 250 MB unpacked."""
    assert built["layer"].path.stat().st_size < 5_000_000


def test_the_layer_holds_what_the_lock_pins() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())["default"]
    for name in LAYER_DISTRIBUTIONS:
        assert lock[name]["version"] == f"=={version(name)}"


def test_functions_find_all_they_import_in_zip_layer_and_runtime(
    built: dict[str, Archive], tmp_path: Path
) -> None:
    code, layer, runtime = tmp_path / "code", tmp_path / "layer", tmp_path / "runtime"
    with zipfile.ZipFile(built["functions"].path) as archive:
        archive.extractall(code)
    with zipfile.ZipFile(built["layer"].path) as archive:
        archive.extractall(layer)
    runtime.mkdir()
    for name in RUNTIME_DISTRIBUTIONS:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {".."}:
            (runtime / top).symlink_to(Path(str(installed.locate_file(top))))
    program = (
        f"import sys; sys.path[:0] = {[str(code), str(layer / 'python'), str(runtime)]!r}\n"
        "import api_handler, batch_processor, payment_processor\n"
        "for module in (api_handler, batch_processor, payment_processor):\n"
        "    assert callable(module.handler)\n"
    )
    outcome = subprocess.run(
        # Isolated: neither this environment's packages nor its variables.
        (sys.executable, "-I", "-S", "-c", program),
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
