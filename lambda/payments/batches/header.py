"""The header of a batch file: the record that names the columns."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

from payments.batches.layout import Layout
from payments.core.faults import UnreadableFile

HEADER_BYTES: Final = 8 * 1024
"""The most that a header has; it passes through the state of the batch's workflow."""

BEGINNING_BYTES: Final = 2 * HEADER_BYTES
"""The header ends within this many bytes of the file; blank lines may come before it."""

_MARK: Final = b"\xef\xbb\xbf"
_SHOWN_CHARACTERS: Final = 200
# Among the first forty bytes: in UTF-16, every other byte of a plain text is one.
_TOO_MANY_NULS: Final = 10

# Zero-width characters, word joiner, byte order mark, no-break space: nobody sees them.
_INVISIBLE: Final = "\u200b\u200c\u200d\u2060\ufeff\u00a0 \t"
_SEPARATORS: Final = ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"))


@dataclass(frozen=True, slots=True)
class Header:
    """A file's columns, the byte behind the header, and the line that comes there."""

    columns: tuple[str, ...]
    end: int
    line_after: int


def read_header(
    begun: bytes, record_ends: Iterable[int], layout: Layout[Any], needed: Iterable[str] = ()
) -> Header:
    """Read the header out of a file's first bytes.

    Byte order marks, blank lines, a line ``sep=,`` as Excel writes it, and invisible characters
    around names are passed over. Names of the layout's columns may be written in any case.

    Args:
        begun: the file's first bytes: ``BEGINNING_BYTES`` if there are so many.
        record_ends: where whole records end in them.
        layout: the columns that it should have.
        needed: columns that it must have besides.

    Raises:
        UnreadableFile: there is no header, it is too long or not printable, it lacks a column or
            has one twice, or cells are separated by something else than commas.
    """
    refuse_utf_16(begun)
    expected = ",".join(layout.fields)
    at = 0
    for end in record_ends:
        raw = without_marks(begun[at:end])
        text = raw.decode("utf-8", "replace").strip("\r\n")
        if len(raw) > HEADER_BYTES:
            break
        at = end
        if not text.strip(f"{_INVISIBLE},"):
            continue
        # Programs that quote every cell quote this line as well.
        if (told := text.lstrip(f'{_INVISIBLE}"')).lower().startswith("sep="):
            _check_separator(told)
            continue
        columns = _columns(text, layout, (*layout.fields, *needed))
        return Header(columns, end, 1 + begun.count(b"\n", 0, end))
    if len(begun) < BEGINNING_BYTES and not begun.strip(b" \t\r\n," + _MARK):
        raise UnreadableFile("empty_file", f"the file is empty; expected a header: {expected}")
    if b"\r" in begun and b"\n" not in begun:
        raise UnreadableFile("no_header", _CR_ALONE)
    if len(begun) - at <= HEADER_BYTES:
        raise UnreadableFile(
            "no_header", f"the file has no header within its first {BEGINNING_BYTES} bytes"
        )
    raise UnreadableFile(
        "no_header",
        f"the first line is too long to be a header: it has more than {HEADER_BYTES} bytes",
    )


def without_marks(raw: bytes) -> bytes:
    """Return bytes without the byte order marks at their start, however many there are."""
    while raw.startswith(_MARK):
        raw = raw.removeprefix(_MARK)
    return raw


def _columns(text: str, layout: Layout[Any], needed: Sequence[str]) -> tuple[str, ...]:
    if "\r" in text.replace("\r\n", "\n").replace("\r\r\n", "\n"):
        raise UnreadableFile("no_header", _CR_ALONE)
    try:
        cells = next(csv.reader(StringIO(text, newline=""), strict=True, skipinitialspace=True))
    except csv.Error:
        raise UnreadableFile(
            "no_header", f"the header has unbalanced quotes; expected: {','.join(layout.fields)}"
        ) from None
    columns = tuple(_named(cell, layout) for cell in cells)
    missing = ", ".join(name for name in needed if columns.count(name) == 0)
    repeated = ", ".join(name for name in layout.names if columns.count(name) > 1)
    if missing:
        hint = next((_hint(name) for sign, name in _SEPARATORS if sign in text), "")
        raise UnreadableFile(
            "missing_column",
            f"no column {missing}; expected at least: {','.join(needed)}; found: {_shown(cells)}{hint}",
        )
    if repeated:
        raise UnreadableFile("repeated_column", f"more than one column {repeated}")
    if not all(name.isprintable() for name in columns):
        raise UnreadableFile(
            "no_header", f"the header has characters that cannot be printed: {_shown(cells)}"
        )
    return columns


def _named(cell: str, layout: Layout[Any]) -> str:
    name = cell.strip(_INVISIBLE)
    return name.lower() if name.lower() in layout.names else name


def _check_separator(text: str) -> None:
    sign = text.removesuffix('"')[4:5]
    if sign != ",":
        name = dict(_SEPARATORS).get(sign, repr(sign))
        raise UnreadableFile("no_header", f"the file says {_shown([text])}{_hint(name)}")


def _hint(separators: str) -> str:
    return f"; cells must be separated by commas, not by {separators}"


def _shown(cells: list[str]) -> str:
    """Return cells for people, with invisible characters escaped, and not too many."""
    text = ", ".join(
        "".join(
            each if each.isprintable() and each not in _INVISIBLE[:-2] else ascii(each)[1:-1]
            for each in cell
        )
        for cell in cells
    )
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def refuse_utf_16(begun: bytes) -> None:
    """Refuse a file whose first bytes are those of UTF-16.

    Raises:
        UnreadableFile: with what to do.
    """
    if begun[:2] in {b"\xff\xfe", b"\xfe\xff"} or begun[:40].count(0) > _TOO_MANY_NULS:
        raise UnreadableFile(
            "not_utf8", "the file is not UTF-8 but looks like UTF-16; save it as CSV UTF-8"
        )


_CR_ALONE: Final = "lines must end with LF or CRLF, and these end with CR alone"
