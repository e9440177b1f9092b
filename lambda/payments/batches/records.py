"""Reading a batch file as bytes: where it may be cut, and which payment each line asks for.

A line of the file is a row: a quoted cell holds commas and quotes, but no line break. So a file may
be cut at any line end, and no fault of one row reaches its neighbours.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from payments.core.content import Content
from payments.core.faults import FieldError, UnreadableFile
from payments.core.fields import FIELDS, PAYMENT_ID, check_fields
from payments.core.money import EXPONENTS, MAX_DIGITS

MAX_LINE_CHARACTERS: Final = 64 * 1024
"""A longer line is rejected; it is never held in memory."""

# A character has four bytes at most, so what has more bytes than this is a line too long.
_ENOUGH_BYTES: Final = 4 * (MAX_LINE_CHARACTERS + 1)

# The most that the three fields of a plain line take, with its end.
_FIELD_CHARACTERS: Final = 64 + 37 + 3 + 2


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Whole lines of a file: bytes ``start`` to ``end`` (exclusive), from line ``first_line``."""

    start: int
    end: int
    first_line: int


@dataclass(frozen=True, slots=True)
class Place:
    """The start of a line: its byte, and its number; the header's is 1."""

    start: int
    line: int


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What is known of a file: its columns, ranges of its rows, and where it is still unread."""

    columns: tuple[str, ...]
    ranges: tuple[ByteRange, ...]
    unread: Place | None = None


class ValidRow(NamedTuple):
    """A row that asks for a payment; a tuple, because a large file makes millions of them."""

    line: int
    content: Content


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be paid: its cells as they stand and every fault."""

    line: int
    cells: tuple[str, ...]
    errors: tuple[FieldError, ...]


_BEGINNING: Final = Place(0, 1)


def plan_file(
    blocks: Iterable[bytes],
    range_bytes: int,
    *,
    most_bytes: int | None = None,
    columns: tuple[str, ...] | None = None,
    place: Place = _BEGINNING,
) -> FilePlan:
    """Read a file through once and say how it may be cut.

    Args:
        blocks: the file's bytes from ``place`` on, in blocks of any size.
        range_bytes: about how many bytes a range should have; a range ends with a line.
        most_bytes: about how many bytes to read at most; the plan then says what is unread.
        columns: the file's columns, if an earlier plan has read the header.
        place: where that plan left the file unread.

    Raises:
        UnreadableFile: it is empty, not UTF-8, has no header or lacks a column.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    header = _HeaderReader(columns)
    ranges: list[ByteRange] = []
    position, line, start, first_line = place.start, place.line, place.start, place.line
    for block in blocks:
        _check_utf8(decoder, block, final=False)
        offset = 0
        while header.columns is None and offset < len(block):
            end = block.find(b"\n", offset) + 1 or len(block)
            if header.feed(block[offset:end]):
                line += 1
                start, first_line = position + end, line
            offset = end
        while position + len(block) - start >= range_bytes and header.columns is not None:
            cut = block.find(b"\n", max(offset, start + range_bytes - position - 1)) + 1
            if cut == 0:
                break
            line += block.count(b"\n", offset, cut)
            ranges.append(ByteRange(start, position + cut, first_line))
            offset, start, first_line = cut, position + cut, line
        line += block.count(b"\n", offset)
        position += len(block)
        is_enough = most_bytes is not None and position - place.start >= most_bytes
        # Where nothing is left over, the file may have ended, and there would be nothing to read.
        if is_enough and ranges and position > start:
            return FilePlan(header.result(), tuple(ranges), Place(start, first_line))
    _check_utf8(decoder, b"", final=True)
    if header.columns is None:
        header.feed(b"\n")
        start = position
    if position > start:
        ranges.append(ByteRange(start, position, first_line))
    return FilePlan(header.result(), tuple(ranges))


def read_rows(
    blocks: Iterable[bytes], columns: tuple[str, ...], first_line: int
) -> Iterator[ValidRow | RejectedRow]:
    """Yield each row of whole lines, in order; blank lines are passed over.

    Args:
        blocks: bytes that start at a line's start, in blocks of any size.
        columns: the header's columns, as :func:`plan_file` found them.
        first_line: the number of the first line, for reports; the header's is 1.
    """
    line_of = _line_of(columns)
    # Where findall puts what it found: the line first, then the fields in the order of the columns.
    id_at, whole_at, fraction_at, code_at = (
        line_of.groupindex[name] - 1 for name in ("id", "whole", "fraction", "code")
    )
    # A named tuple's own constructor takes as long as reading the line.
    exponent_of, new = EXPONENTS.get, tuple.__new__
    number = first_line - 1
    for text in _whole_lines(blocks):
        for found in line_of.findall(text):
            number += 1
            fraction, currency = found[fraction_at], found[code_at]
            # What only looks plain, such as 1.5 USD, goes the long way like all that does not.
            if exponent_of(currency) == len(fraction):
                digits = found[whole_at] + fraction
                amount_minor = int(digits) if len(digits) <= MAX_DIGITS else 0
                if amount_minor:
                    content = new(Content, (found[id_at], amount_minor, currency, len(fraction)))
                    yield new(ValidRow, (number, content))
                    continue
            row = _read_row(number, found[0].removesuffix("\r"), columns)
            if row is not None:
                yield row


def _line_of(columns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what a line looks like: plain, with its fields, or any other, without.

    Almost every line of a large file is plain: no quotes, nothing wrong, not nearly too long. One
    match reads and checks all of it, which is twice as fast as cell by cell.
    """
    room = max(0, (MAX_LINE_CHARACTERS - _FIELD_CHARACTERS) // len(columns) - 1)
    cells = {
        "payment_id": f"(?P<id>{PAYMENT_ID.pattern})",
        "amount": r"(?P<whole>0|[1-9][0-9]{0,17})(?:\.(?P<fraction>[0-9]{1,18}))?",
        "currency": r"(?P<code>[A-Z]{3})",
    }
    plain = ",".join(cells.get(name, f'[^",\n]{{0,{room}}}') for name in columns)
    return re.compile(f"^({plain}\r?|[^\n]*)$", re.MULTILINE)


def _read_row(number: int, text: str, columns: tuple[str, ...]) -> ValidRow | RejectedRow | None:
    """Read any line; a blank one is nothing."""
    if not text or text.isspace():
        return None
    if len(text) > MAX_LINE_CHARACTERS:
        return RejectedRow(number, (), (_LINE_TOO_LONG,))
    try:
        cells = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
    except csv.Error:
        return RejectedRow(number, (text,), (_BAD_QUOTES,))
    if len(cells) != len(columns):
        return RejectedRow(number, tuple(cells), (_wrong_width(len(cells), len(columns)),))
    # Our reports put an apostrophe before what a spreadsheet would take for a formula, such as -1.
    payment_id, amount, currency = (cells[columns.index(name)].removeprefix("'") for name in FIELDS)
    checked = check_fields(payment_id, amount, currency)
    if isinstance(checked, Content):
        return ValidRow(number, checked)
    return RejectedRow(number, tuple(cells), tuple(checked))


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield lines, many at once and without the last one's end.

    A line that is too long is not held: enough of it to know that passes.
    """
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n")
        if end < 0:
            rest += block
        else:
            yield (rest + block[:end]).decode("utf-8", "replace")
            rest = block[end + 1 :]
        rest = rest[:_ENOUGH_BYTES]
    if rest:
        yield rest.decode("utf-8", "replace")


def _check_utf8(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool) -> None:
    try:
        decoder.decode(block, final=final)
    except UnicodeDecodeError:
        raise UnreadableFile("not_utf8", "the file is not UTF-8; save it as CSV UTF-8") from None


class _HeaderReader:
    """Takes lines until one is a header; its faults wait until the whole file is known as UTF-8."""

    def __init__(self, columns: tuple[str, ...] | None) -> None:
        self.columns = columns
        self._line = bytearray()
        self._is_first = True
        self._fault = UnreadableFile(
            "empty_file", f"the file is empty; expected a header: {_HEADER}"
        )

    def feed(self, piece: bytes) -> bool:
        """Take bytes up to a line end at most; return whether a line is complete."""
        self._line += piece
        if len(self._line) > MAX_LINE_CHARACTERS:
            self._refuse("no_header", _CR_ALONE if b"\r" in self._line else _TOO_LONG)
        elif piece.endswith(b"\n"):
            self._read(bytes(self._line))
            self._line.clear()
            self._is_first = False
            return True
        return False

    def result(self) -> tuple[str, ...]:
        """Return the columns, or raise what is wrong with them."""
        if not self.columns:
            raise self._fault
        return self.columns

    def _read(self, raw: bytes) -> None:
        text = raw.decode("utf-8-sig" if self._is_first else "utf-8").rstrip("\r\n")
        if not text.strip():
            return
        if "\r" in text:
            self._refuse("no_header", _CR_ALONE)
            return
        try:
            columns = tuple(name.strip() for name in next(csv.reader([text], strict=True)))
        except csv.Error:
            self._refuse("no_header", f"the header has unbalanced quotes; expected: {_HEADER}")
            return
        missing = ", ".join(name for name in FIELDS if columns.count(name) == 0)
        repeated = ", ".join(name for name in FIELDS if columns.count(name) > 1)
        if missing:
            hint = next((hint for sign, hint in _OTHER_SEPARATORS if sign in text), "")
            fault = f"no column {missing}; expected at least: {_HEADER}{hint}"
            self._refuse("missing_column", fault)
        elif repeated:
            self._refuse("repeated_column", f"more than one column {repeated}")
        else:
            self.columns = columns

    def _refuse(self, code: str, message: str) -> None:
        self.columns = ()
        self._fault = UnreadableFile(code, message)


def _wrong_width(found: int, expected: int) -> FieldError:
    return FieldError("row", "column_count", f"has {found} cells, the header has {expected}")


_HEADER: Final = ",".join(FIELDS)

_CR_ALONE: Final = "lines must end with LF or CRLF, and these end with CR alone"

_TOO_LONG: Final = "the first line is too long to be a header"

_OTHER_SEPARATORS: Final = tuple(
    (sign, f"; cells must be separated by commas, not by {name}")
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"))
)

_LINE_TOO_LONG: Final = FieldError(
    "row", "line_too_long", f"is longer than {MAX_LINE_CHARACTERS} characters"
)

_BAD_QUOTES: Final = FieldError(
    "row",
    "unbalanced_quotes",
    'has a quote that is not closed on its line; write " as "", and no line break in a cell',
)
