"""Same source, same bytes; another source, another name, another hash."""

import base64
import compileall
import hashlib
import json
import marshal
import os
import py_compile
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest

from lib.kit.assets import (
    AWS_SERVICES,
    BYTECODE_TAG,
    LAYER_DISTRIBUTIONS,
    Archive,
    function_archive,
    layer_archive,
)

ROOT = Path(__file__).resolve().parents[2]

BYTECODE_HEADER = 16
"""Bytes before the code: magic number, flags and the source's hash (PEP 552)."""


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


def entries_of(archive: Archive) -> dict[str, bytes]:
    with zipfile.ZipFile(archive.path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def unpacked(archive: Archive, folder: Path) -> Path:
    with zipfile.ZipFile(archive.path) as opened:
        opened.extractall(folder)
    return folder


def bytecode_of(name: str) -> str:
    source = PurePosixPath(name)
    return str(source.with_name("__pycache__") / f"{source.stem}.{BYTECODE_TAG}.pyc")


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
        "__pycache__/handler.cpython-312.pyc",
        "handler.py",
        "payments/__init__.py",
        "payments/__pycache__/__init__.cpython-312.pyc",
        "payments/__pycache__/models.cpython-312.pyc",
        "payments/models.py",
    ]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    # Builds of zlib compress the same bytes differently.
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_one_zip_has_the_handlers_and_the_domain(built: dict[str, Archive]) -> None:
    names = entries_of(built["functions"]).keys()
    assert {
        "api_handler.py",
        "batch_processor.py",
        "payment_processor.py",
        "payments/__init__.py",
    } <= names
    assert {name.rpartition(".")[2] for name in names} == {"py", "pyc"}


def test_the_layer_holds_pure_python_where_lambda_looks_for_it(built: dict[str, Archive]) -> None:
    names = entries_of(built["layer"]).keys()
    assert names
    assert all(name.startswith("python/") for name in names)
    unwanted = (".so", ".pyd", ".c", ".pyi", ".js")
    assert [name for name in names if name.endswith(unwanted) or ".dist-info" in name] == []


def test_the_layer_is_well_below_lambdas_limits(built: dict[str, Archive]) -> None:
    """50 MB to upload, 250 MB unpacked."""
    assert built["layer"].path.stat().st_size < 15_000_000


def test_the_layer_holds_what_the_lock_pins() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())["default"]
    for name in LAYER_DISTRIBUTIONS:
        assert lock[name]["version"] == f"=={version(name)}"


def test_functions_find_all_they_import_in_zip_and_layer(
    built: dict[str, Archive], tmp_path: Path
) -> None:
    code = unpacked(built["functions"], tmp_path / "code")
    layer = unpacked(built["layer"], tmp_path / "layer")
    program = (
        f"import sys; sys.path[:0] = {[str(code), str(layer / 'python')]!r}\n"
        "import api_handler, batch_processor, payment_processor\n"
        "for module in (api_handler, batch_processor, payment_processor):\n"
        "    assert callable(module.handler)\n"
        "from payments.runtime.clients import client\n"
        f"for service in {AWS_SERVICES!r}:\n"
        "    assert client(service).meta.service_model.service_name == service\n"
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
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
    # Nothing was missing that Python would have written, had it been allowed to.
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_layer_describes_each_service_that_the_functions_call() -> None:
    """A client of a service that is missing there would fail with UnknownServiceError."""
    sources = (ROOT / "lambda/payments/runtime").glob("*.py")
    called = {
        service
        for source in sources
        for service in re.findall(r'client\("([a-z0-9]+)"\)', source.read_text())
    }
    assert called == set(AWS_SERVICES)


def test_the_layer_describes_no_other_service(built: dict[str, Archive]) -> None:
    described = {
        name.split("/")[3]
        for name in entries_of(built["layer"])
        if name.startswith("python/botocore/data/") and name.count("/") > 3
    }
    assert described == set(AWS_SERVICES)


class TestBytecode:
    """Lambda's folders cannot be written: what is not compiled yet is compiled in each start."""

    @pytest.mark.parametrize("kind", ["functions", "layer"])
    def test_each_source_has_its_bytecode(self, built: dict[str, Archive], kind: str) -> None:
        names = entries_of(built[kind]).keys()
        sources = {name for name in names if name.endswith(".py")}
        assert {name for name in names if name.endswith(".pyc")} == set(map(bytecode_of, sources))

    def test_it_is_what_python_itself_writes(self, source: Path, tmp_path: Path) -> None:
        written = py_compile.compile(
            str(source / "payments/models.py"),
            cfile=str(tmp_path / "models.pyc"),
            dfile="/var/task/payments/models.py",
            doraise=True,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        assert written is not None
        bytecode = entries_of(pack(source))[bytecode_of("payments/models.py")]
        assert bytecode == Path(written).read_bytes()

    def test_python_runs_it_without_reading_the_source(self, source: Path, tmp_path: Path) -> None:
        code = unpacked(pack(source), tmp_path / "code")
        for path in code.rglob("*.py"):
            path.write_text("raise AssertionError('compiled again')")
        program = f"import sys; sys.path.insert(0, {str(code)!r}); import handler; print(handler.payments.models.A)"
        done = subprocess.run(
            (sys.executable, "-I", "-S", "-c", program), capture_output=True, text=True, check=False
        )
        assert done.stdout == "1\n", done.stderr

    def test_tracebacks_name_the_place_in_lambda(self, built: dict[str, Archive]) -> None:
        function = entries_of(built["functions"])[bytecode_of("api_handler.py")]
        module = marshal.loads(function[BYTECODE_HEADER:])  # noqa: S302 - our own, of just now
        assert module.co_filename == "/var/task/api_handler.py"
        library = entries_of(built["layer"])[bytecode_of("python/six.py")]
        module = marshal.loads(library[BYTECODE_HEADER:])  # noqa: S302 - likewise
        assert module.co_filename == "/opt/python/six.py"

    def test_folder_process_and_hash_seed_do_not_matter(self, tmp_path: Path) -> None:
        """Bytecode could name folders, and sets in it could be in any order."""
        digests = []
        for seed in ("1", "2"):
            root = tmp_path / seed / "lambda"
            for path in (ROOT / "lambda").rglob("*.py"):
                copy = root / path.relative_to(ROOT / "lambda")
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
            program = (
                "import sys; from pathlib import Path; import lib.kit.assets as assets\n"
                "root, folder = map(Path, sys.argv[1:])\n"
                "print(assets.function_archive(root=root, folder=folder).hash)\n"
                "print(assets.layer_archive(folder=folder).hash)\n"
            )
            done = subprocess.run(
                (sys.executable, "-c", program, str(root), str(root.parent / "build")),
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPYCACHEPREFIX": str(root)},
                capture_output=True,
                text=True,
                check=True,
            )
            digests.append(done.stdout)
        assert digests[0] == digests[1]

    def test_a_changed_comment_changes_no_code(self, source: Path) -> None:
        models = source / "payments" / "models.py"
        models.write_text("A = 1  # one\n")
        before = entries_of(pack(source))
        models.write_text("A = 1  # the first\n")
        after = entries_of(pack(source))
        name = "payments/models.py"
        changed = {entry for entry in before | after if before.get(entry) != after.get(entry)}
        assert changed == {name, bytecode_of(name)}
        old, new = before[bytecode_of(name)], after[bytecode_of(name)]
        assert old[BYTECODE_HEADER:] == new[BYTECODE_HEADER:]

    def test_another_python_ships_the_sources_alone(
        self, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-313")
        assert entries_of(pack(source)).keys() == {
            "handler.py",
            "payments/__init__.py",
            "payments/models.py",
        }
