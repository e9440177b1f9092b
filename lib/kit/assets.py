"""Reproducible zips: same source, same bytes, on any machine.

Names are sorted, dates and permissions fixed, and nothing is compressed, since builds of zlib
compress the same bytes differently. So the hash of a zip is a hash over names and contents.
"""

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

FUNCTION_ROOT: Final = Path(__file__).resolve().parents[2] / "lambda"

LAYER_DISTRIBUTIONS: Final = (
    "aws-lambda-powertools",
    "aws-xray-sdk",
    "jmespath",
    "typing-extensions",
    "wrapt",
)
"""What the functions need at run time; boto3 comes with the Lambda runtime."""

# Never read in a function: one platform's code, types, and a page that shows OpenAPI documents.
_LEFT_OUT_SUFFIXES: Final = (".so", ".pyd", ".pyc", ".c", ".pyi", ".js", ".css")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can carry
_FILE_MODE: Final = 0o100644 << 16
_UNIX: Final = 3


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
    """Write the zip that serves all functions, every ``*.py`` below ``root``, into ``folder``."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*.py")
        if not path.relative_to(root).parts[0].startswith(".")
    }
    return _write("functions", files, folder)


def layer_archive(*, folder: Path) -> Archive:
    """Write the layer, pure Python from the installed, locked distributions, into ``folder``.

    Raises:
        importlib.metadata.PackageNotFoundError: a distribution is not installed.
    """
    files = {
        f"python/{name}": content
        for installed in map(distribution, LAYER_DISTRIBUTIONS)
        for name, content in _recorded_files(installed)
    }
    return _write("layer", files, folder)


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
        if not outside and not metadata and file.suffix not in _LEFT_OUT_SUFFIXES:
            yield file.as_posix(), file.read_binary()


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
