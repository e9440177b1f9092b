"""What was sent and has no answer yet: one file a request, written before the request is sent.

The id is on disk before anything is sent. So whatever ends this process, this machine or the
connection, ``payments resume`` finds id and content here and sends the same request again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that moves money. ``what`` says so in words; ``name`` is its own within the API."""

    name: str
    what: str
    method: str
    path: str
    body: Mapping[str, Any]
    api: str

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read a request as it was written.

        Raises:
            KeyError: it is not one.
        """
        names = ("name", "what", "method", "path", "body", "api")
        return cls(**{name: document[name] for name in names})


def state_folder() -> Path:
    """Return where programs of this user keep their state (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_STATE_HOME", "")
    # A relative path is invalid and to be ignored, says the specification.
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".local/state"
    return base / "payments"


class Journal:
    """The requests of one environment that have no answer, readable by this user alone."""

    def __init__(self, suffix: str, folder: Path | None = None) -> None:
        self.folder = (folder or state_folder()) / suffix

    def remember(self, request: Request) -> None:
        """Write a request to disk; it is there, whatever happens, when this returns.

        Raises:
            OSError: it cannot be written, so it must not be sent.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = self.file(request)
        written = kept.with_suffix(".part")
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(request), file)
            file.flush()
            os.fsync(file.fileno())
        written.rename(kept)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def forget(self, request: Request) -> None:
        """Remove a request that has its answer."""
        self.file(request).unlink(missing_ok=True)

    def waiting(self) -> Iterator[Request]:
        """Yield every request that has no answer, oldest first."""
        files = sorted(self.folder.glob("*.json"), key=lambda file: (file.stat().st_mtime_ns, file))
        for file in files:
            yield Request.from_dict(json.loads(file.read_text()))

    def file(self, request: Request) -> Path:
        """Return where a request is kept."""
        # Not by its name, which holds ids as a person typed them.
        return self.folder / f"{hashlib.sha256(request.name.encode()).hexdigest()[:32]}.json"
