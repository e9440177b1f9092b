"""Reproducible zips: same source, same bytes, on any machine.

Names are sorted, dates and permissions fixed, and nothing is compressed, since builds of zlib
compress the same bytes differently. So the hash of a zip is a hash over names and contents.

Lambda cannot write where it unpacks them, so each Python file is compiled here, once for all cold
starts. The bytecode names neither dates nor folders of the machine that made it.
"""

import base64
import hashlib
import importlib.util
import io
import marshal
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

FUNCTION_ROOT: Final = Path(__file__).resolve().parents[2] / "lambda"

LAYER_DISTRIBUTIONS: Final = (
    "aws-lambda-powertools",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "typing-extensions",
    "urllib3",
)
"""What the functions need at run time. Lambda's own boto3 would change under them."""

AWS_SERVICES: Final = ("dynamodb", "s3", "secretsmanager", "sns", "sqs", "stepfunctions")
"""What the functions call: of botocore's 400 services, only these are described in the layer."""

BYTECODE_TAG: Final = "cpython-312"
"""The interpreter of the functions, as it names its bytecode (``lib.kit.function.RUNTIME``)."""

# Never read in a function: one platform's code, types, and a page that shows OpenAPI documents.
_LEFT_OUT_SUFFIXES: Final = (".so", ".pyd", ".pyc", ".c", ".pyi", ".js", ".css", ".rst")
# Descriptions of what boto3.resource makes, and examples for boto3's documentation.
_LEFT_OUT_FOLDERS: Final = (("boto3", "data"), ("boto3", "examples"))
_SERVICES: Final = ("botocore", "data")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can carry
_FILE_MODE: Final = 0o100644 << 16
_UNIX: Final = 3
_UNCHECKED_HASH: Final = 0b01  # what Python believes without reading the source again


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip on disk, named after its content."""

    path: Path
    digest: bytes

    @property
    def hash(self) -> str:
        """SHA-256 of the zip in hexadecimal."""
        return self.digest.hex()

    @property
    def source_code_hash(self) -> str:
        """SHA-256 of the zip in base64, as Lambda reports it (``CodeSha256``)."""
        return base64.b64encode(self.digest).decode()


def function_archive(*, folder: Path, root: Path = FUNCTION_ROOT) -> Archive:
    """Write the zip that serves all functions into ``folder``.

    It holds every ``*.py`` below ``root`` and its bytecode.
    """
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*.py")
        if not path.relative_to(root).parts[0].startswith(".")
    }
    return _write("functions", _with_bytecode(files, unpacked_into="/var/task"), folder)


def layer_archive(*, folder: Path) -> Archive:
    """Write the layer, pure Python from the installed, locked distributions, into ``folder``.

    Each Python file comes with its bytecode.

    Raises:
        importlib.metadata.PackageNotFoundError: a distribution is not installed.
    """
    files = {
        f"python/{name}": content
        for installed in map(distribution, LAYER_DISTRIBUTIONS)
        for name, content in _recorded_files(installed)
    }
    return _write("layer", _with_bytecode(files, unpacked_into="/opt"), folder)


def layer_sizes() -> list[tuple[str, int]]:
    """Return what each distribution brings into the layer, in bytes, the largest first."""
    sizes = [
        (name, sum(len(content) for _, content in _recorded_files(distribution(name))))
        for name in LAYER_DISTRIBUTIONS
    ]
    return sorted(sizes, key=lambda each: each[1], reverse=True)


def _recorded_files(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield what the distribution's own RECORD lists, but for what no function runs."""
    for file in installed.files or ():
        # Scripts are recorded as ../../../bin/…, outside what can be imported.
        outside = file.parts[0] == ".."
        metadata = file.parts[0].endswith((".dist-info", "-stubs"))
        if not outside and not metadata and _is_run(file):
            yield file.as_posix(), file.read_binary()


def _is_run(file: PurePath) -> bool:
    if file.suffix in _LEFT_OUT_SUFFIXES or file.parts[:2] in _LEFT_OUT_FOLDERS:
        return False
    described = file.parts[:2] == _SERVICES and len(file.parts) > len(_SERVICES) + 1
    return not described or file.parts[len(_SERVICES)] in AWS_SERVICES


def _with_bytecode(files: Mapping[str, bytes], *, unpacked_into: str) -> dict[str, bytes]:
    """Return the files and, where the functions' Python looks for it, each one's bytecode.

    Another Python than theirs cannot make it. Then the zip has the sources alone, and functions
    start later.
    """
    if sys.implementation.cache_tag != BYTECODE_TAG:
        return dict(files)
    compiled = {
        _bytecode_name(name): _bytecode(content, f"{unpacked_into}/{name}")
        for name, content in files.items()
        if name.endswith(".py")
    }
    return {**files, **compiled}


def _bytecode_name(name: str) -> str:
    source = PurePosixPath(name)
    return str(source.parent / "__pycache__" / f"{source.stem}.{BYTECODE_TAG}.pyc")


def _bytecode(source: bytes, path: str) -> bytes:
    """Return what ``py_compile`` writes with an unchecked hash: https://peps.python.org/pep-0552/."""
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    flags = _UNCHECKED_HASH.to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)
    return head + marshal.dumps(code)


def _write(kind: str, files: Mapping[str, bytes], folder: Path) -> Archive:
    content = _zip(files)
    digest = hashlib.sha256(content).digest()
    path = folder / f"{kind}-{digest.hex()[:16]}.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed into place, so that a synthesis at the same time never sees half a file.
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_bytes(content)
        partial.replace(path)
    return Archive(path=path, digest=digest)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _FILE_MODE
            archive.writestr(entry, files[name])
    return buffer.getvalue()
