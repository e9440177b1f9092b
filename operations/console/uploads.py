"""Which files this user uploaded from this machine, newest first: there is no list of all batches."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_KEPT: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that became a batch. ``key`` is where a dry run's file is, to be paid from there."""

    batch_id: str
    name: str
    at: str
    dry_run: bool
    key: str


class Uploads:
    """The newest uploads, in a file of this user's."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> list[Upload]:
        """Return them, newest first; a file that cannot be read holds none."""
        try:
            return [Upload(**each) for each in json.loads(self._file.read_text())]
        except (OSError, ValueError, TypeError):
            return []

    def get(self, batch_id: str) -> Upload | None:
        """Return the upload of a batch, if it was one from here."""
        return next((each for each in self.all() if each.batch_id == batch_id), None)

    def add(self, upload: Upload) -> None:
        """Put an upload first."""
        kept = [upload, *self.all()][:_KEPT]
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = self._file.with_suffix(".part")
        written.write_text(json.dumps([asdict(each) for each in kept]))
        written.rename(self._file)
