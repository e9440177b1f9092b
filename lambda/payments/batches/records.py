"""Reading a batch file: which records it has, where it may be cut, and what each record asks for.

A record is one as RFC 4180 defines it, and Python's ``csv`` reads its cells: a quoted cell may hold
commas, quotes and line breaks, and nothing inside a cell is ever a row. A quote opens a quoted cell
only at a cell's start; anywhere else it is a character. What follows a closing quote up to the next
comma belongs to the cell, so where a record ends never depends on whether the record is well formed.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import Final, NamedTuple

from payments.batches.header import HEADER_BYTES, read_header, refuse_utf_16
from payments.core.content import Content
from payments.core.faults import FieldError, UnreadableFile
from payments.core.fields import FIELDS, check_fields

MAX_RECORD_CHARACTERS: Final = 64 * 1024
"""A longer record is rejected alone; it is never held in memory."""

# A character has four bytes at most, so what has more bytes than this is a record too long.
_ENOUGH_BYTES: Final = 4 * (MAX_RECORD_CHARACTERS + 1)

# No more than this is read at once, however large the blocks are.
_PIECE_BYTES: Final = 1024 * 1024

# No cell that is given to csv is longer. Its own limit would end a record in the middle of a cell,
# and what follows inside the quotes would be taken for rows.
csv.field_size_limit(_ENOUGH_BYTES + _PIECE_BYTES)

_BLANKS: Final = " \t\u00a0"
"""What is noise around the cells of a payment's fields: blanks, tabs, no-break spaces."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Whole records of a file: bytes ``start`` to ``end`` (exclusive), from line ``first_line``."""

    start: int
    end: int
    first_line: int


@dataclass(frozen=True, slots=True)
class Place:
    """The start of a record: its byte, and the number of its line; the first line is 1."""

    start: int
    line: int


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What is known of a file: its columns, ranges of its records, and where it is still unread."""

    columns: tuple[str, ...]
    ranges: tuple[ByteRange, ...]
    unread: Place | None = None


class ValidRow(NamedTuple):
    """A record that asks for a payment, and the line it begins in.

    A tuple, because a large file makes millions of them.
    """

    line: int
    content: Content


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A record that cannot be paid, the line it begins in, and every fault.

    It has its ``cells``, or, if they do not fit the header, its ``raw`` text instead.
    """

    line: int
    cells: tuple[str, ...]
    errors: tuple[FieldError, ...]
    raw: str | None = None


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
        range_bytes: about how many bytes a range should have; a range ends with a record.
        most_bytes: about how many bytes to read at most; the plan then says what is unread.
        columns: the file's columns, if an earlier plan has read the header.
        place: where that plan left the file unread.

    Raises:
        UnreadableFile: it is empty, is not UTF-8, has no header, lacks a column, or has a quote
            that is opened and never closed.
    """
    checked = _Utf8Check(blocks, place)
    start, line = place.start, place.line
    rest: Iterator[bytes] = iter(checked)
    if columns is None:
        begun = _first_bytes(rest)
        header = read_header(begun, list(_Quotes().record_ends(begun)))
        columns, start, line = header.columns, header.end, header.line_after
        rest = chain([begun[header.end :]], rest)
    ranges: list[ByteRange] = []
    quotes = _Quotes()
    position, first_line = start, line
    for block in rest:
        if position + len(block) - start >= range_bytes:
            counted = 0
            for end in quotes.record_ends(block):
                if position + end - start >= range_bytes:
                    line += block.count(b"\n", counted, end)
                    ranges.append(ByteRange(start, position + end, first_line))
                    counted, start, first_line = end, position + end, line
            line += block.count(b"\n", counted)
        else:
            line += block.count(b"\n")
        quotes.pass_over(block, line_after=line)
        position += len(block)
        is_enough = most_bytes is not None and position - place.start >= most_bytes
        # Where nothing is left over, the file may have ended, and there would be nothing to read.
        if is_enough and ranges and position > start:
            return FilePlan(columns, tuple(ranges), Place(start, first_line))
    quotes.must_be_closed()
    if position > start:
        ranges.append(ByteRange(start, position, first_line))
    return FilePlan(columns, tuple(ranges))


def read_rows(
    blocks: Iterable[bytes], columns: tuple[str, ...], first_line: int
) -> Iterator[ValidRow | RejectedRow]:
    """Yield each record of whole records, in order; blank ones are passed over.

    Args:
        blocks: bytes that start at a record's start, in blocks of any size.
        columns: the header's columns, as :func:`plan_file` found them.
        first_line: the number of the first line, for reports; the file's first is 1.
    """
    reader = _RowReader(columns, first_line)
    held = b""
    skipping: _Quotes | None = None
    for piece in _pieces(blocks):
        data = piece
        if skipping is not None:
            end = skipping.first_record_end(data)
            reader.skip(data if end is None else data[:end])
            if end is None:
                continue
            data, skipping = data[end:], None
        data = held + data
        end = _last_record_end(data)
        yield from reader.rows(data[:end])
        held = data[end:]
        if len(held) > _ENOUGH_BYTES:
            skipping = _Quotes()
            skipping.first_record_end(held)
            yield reader.too_long(held)
            held = b""
    yield from reader.rows(held)


class _RowReader:
    """Reads the rows of whole records, and knows the line that it has come to."""

    def __init__(self, columns: tuple[str, ...], first_line: int) -> None:
        self._line = first_line
        self._width = len(columns)
        self._at = tuple(columns.index(name) for name in FIELDS)

    def rows(self, records: bytes) -> Iterator[ValidRow | RejectedRow]:
        """Yield each row; blank records are passed over."""
        if not records:
            return
        text = records.decode("utf-8", "replace")
        # Only at LF, and kept: csv itself reads LF, CRLF and CR CR LF as one line end.
        lines = StringIO(text, newline="\n").readlines()
        is_doubtful = '"' in text and not _is_well_formed(text)
        longest = len(max(lines, key=len))
        first, taken, passed = self._line, 0, 0
        id_at, amount_at, currency_at = self._at
        width, new = self._width, tuple.__new__
        unread = iter(lines)
        cells_of = csv.reader(unread, skipinitialspace=True)
        while True:
            try:
                for cells in cells_of:
                    line, begun, taken = first + taken, taken, cells_of.line_num + passed
                    if is_doubtful or (taken - begun) * longest > MAX_RECORD_CHARACTERS:
                        fault = _fault_of(lines, begun, taken)
                        if fault is not None:
                            yield _unfit(line, lines[begun:taken], fault)
                            continue
                    if len(cells) == width:
                        content = check_fields(cells[id_at], cells[amount_at], cells[currency_at])
                        if isinstance(content, Content):
                            yield new(ValidRow, (line, content))
                            continue
                    row = self._read_closely(line, cells, lines[begun:taken])
                    if row is not None:
                        yield row
                break
            except csv.Error:
                # A carriage return alone; csv gives the record up there, within its last line or
                # before it. What follows in quotes is still inside a cell, and no row.
                begun, given_up = taken, cells_of.line_num + passed
                taken = begun + _lines_of_record(lines, begun)
                passed += taken - given_up
                for _ in range(taken - given_up):
                    next(unread)
                row = _broken(first + begun, lines[begun:taken])
                if row is not None:
                    yield row
        self._line += len(lines)

    def too_long(self, begun: bytes) -> RejectedRow:
        """Return the row of a record of which so much was read that it is too long."""
        line = self._line
        self.skip(begun)
        return RejectedRow(line, (), (_TOO_LONG,))

    def skip(self, part: bytes) -> None:
        """Go over a part of a record that is too long."""
        self._line += part.count(b"\n")

    def _read_closely(
        self, line: int, cells: list[str], lines: list[str]
    ) -> ValidRow | RejectedRow | None:
        """Read a row that is not plainly valid; a blank one is nothing."""
        if not any(cell.strip(_BLANKS) for cell in cells):
            return None
        if len(cells) != self._width:
            fault = FieldError(
                "row", "column_count", f"has {len(cells)} cells, the header has {self._width}"
            )
            return _unfit(line, lines, fault)
        # Our reports put an apostrophe before what a spreadsheet takes for a formula, such as -1.
        fields = (cells[at].strip(_BLANKS).removeprefix("'") for at in self._at)
        checked = check_fields(*fields)
        if isinstance(checked, Content):
            return ValidRow(line, checked)
        return RejectedRow(line, tuple(cells), tuple(checked))


def _fault_of(lines: list[str], begun: int, taken: int) -> FieldError | None:
    """Return what is wrong with the form of a record that has cells, if anything is."""
    record = lines[begun] if taken == begun + 1 else "".join(lines[begun:taken])
    if len(record.rstrip("\r\n")) > MAX_RECORD_CHARACTERS:
        return _TOO_LONG
    if '"' not in record:
        return None
    # Blanks between a closing quote and the comma are noise; other text is a fault.
    strict = csv.reader([_AFTER_QUOTE.sub('"', record)], strict=True, skipinitialspace=True)
    try:
        next(strict, None)
    except csv.Error:
        return _BAD_QUOTES
    return None


def _lines_of_record(lines: list[str], begun: int) -> int:
    """Return how many lines a record has that csv gives up for a carriage return alone."""
    # With any other character in its place, csv says itself where the record ends.
    mended = (_CR_ALONE.sub("x", lines[at]) for at in range(begun, len(lines)))
    reader = csv.reader(mended, skipinitialspace=True)
    next(reader)
    return reader.line_num


def _broken(line: int, lines: list[str]) -> RejectedRow | None:
    """Return the row of a record with a carriage return alone; a blank one is nothing."""
    record = "".join(lines)
    if not record.strip(f"{_BLANKS}\r\n"):
        return None
    is_long = len(record.rstrip("\r\n")) > MAX_RECORD_CHARACTERS
    return _unfit(line, lines, _TOO_LONG if is_long else _LINE_BREAK)


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), _PIECE_BYTES):
            yield block[start : start + _PIECE_BYTES]


def _unfit(line: int, lines: list[str], fault: FieldError) -> RejectedRow:
    raw = None if fault is _TOO_LONG else "".join(lines).rstrip("\r\n")
    return RejectedRow(line, (), (fault,), raw)


class _Quotes:
    """Knows, block by block from a record's start on, where records end and whether a cell is open.

    The same automaton as that of ``csv`` (not strict, blanks after a comma skipped).
    """

    def __init__(self) -> None:
        self._is_open = False
        self._before = b","
        self._held = b""
        self._opened: tuple[bytes, int] = (b'"', 1)

    def record_ends(self, block: bytes) -> Iterator[int]:
        """Yield where records end in the next block: the places after line breaks between cells.

        It does not move on; :meth:`pass_over` does.
        """
        data, shift = self._next(block)
        gap = 0
        if self._is_open:
            gap = _closed_at(data)
            if not gap:
                return
        for cell in _QUOTED_CELL.finditer(data, gap):
            yield from _after_line_breaks(data, gap, cell.start() + 1, shift)
            gap = cell.end()
        yield from _after_line_breaks(data, gap, len(data), shift)

    def first_record_end(self, block: bytes) -> int | None:
        """Return where the first record ends in the next block, and pass over the block."""
        end = next(self.record_ends(block), None)
        self.pass_over(block)
        return end

    def pass_over(self, block: bytes, *, line_after: int = 0) -> None:
        """Take in the next block; ``line_after`` is the line that its end is in."""
        data, _ = self._next(block)
        waiting = _quotes_at_end(self._held + block)
        # Two more or less open and close nothing, so a file of quotes alone is not held in memory.
        self._held = b'"' * (2 - waiting % 2 if waiting else 0)
        if self._is_open:
            closed = _closed_at(data)
            if not closed:
                return
            data = b"x" + data[closed:]
        self._is_open = False
        pieces = data.split(b'"')
        if _opens_only_at_starts(pieces):
            self._is_open = len(pieces) % 2 == 0
        else:
            # A closed cell has an even number of quotes, and an open one, the last, an odd one.
            stripped = _QUOTED_CELL.sub(b"x", data)
            self._is_open = (len(pieces) - 1 - stripped.count(b'"')) % 2 == 1
        if self._is_open:
            self._opened = (data, line_after)
        else:
            self._before = b"," if data.rstrip(b" ")[-1:] in {b",", b"\n"} else b"x"

    def must_be_closed(self) -> None:
        """Say that there are no more blocks.

        Raises:
            UnreadableFile: a quote was opened and never closed.
        """
        is_odd = len(self._held) % 2 == 1
        if self._is_open and not is_odd:
            data, line = self._opened
            *_, cell = _QUOTED_CELL.finditer(data)
            line -= data.count(b"\n", cell.start() + 1)
            raise UnreadableFile("unclosed_quote", _UNCLOSED.format(line=f"line {line}"))
        if not self._is_open and self._before == b"," and is_odd:
            raise UnreadableFile("unclosed_quote", _UNCLOSED.format(line="the last line"))

    def _next(self, block: bytes) -> tuple[bytes, int]:
        """Return what can be decided with the next block, and how many bytes stand before it.

        Quotes at the end cannot: the first of them closes a cell, or is the first of two.
        """
        before = self._held if self._is_open else self._before + self._held
        data = before + block
        return data[: len(data) - _quotes_at_end(data)], len(before)


def _opens_only_at_starts(pieces: list[bytes]) -> bool:
    """Say whether every quote is where it should be: what was split at quotes began outside of any.

    Then cells take turns with what is between them. Nothing between two quotes is a doubled one.
    """
    odd = [piece for piece in pieces[:-1:2] if not piece.endswith((b",", b"\n"))]
    return all(not piece or piece.rstrip(b" ").endswith((b",", b"\n")) for piece in odd)


def _is_well_formed(text: str) -> bool:
    """Say whether each quoted cell of whole records stands between commas or line breaks."""
    between = text.split('"')[::2]
    odd = [
        piece
        for number, piece in enumerate(between)
        if not (
            (piece.endswith((",", "\n")) or number == len(between) - 1)
            and (piece.startswith((",", "\n", "\r")) or number == 0)
        )
    ]
    # Nothing at the very beginning is a record's start, and anywhere else a doubled quote.
    return not any(odd)


def _quotes_at_end(data: bytes) -> int:
    return len(data) - len(data.rstrip(b'"'))


def _closed_at(data: bytes) -> int:
    """Return where a cell that is open at the start is closed; 0 if it is not."""
    inside = _REST_OF_CELL.match(data)
    return inside.end() if inside is not None and inside[1] else 0


def _after_line_breaks(data: bytes, start: int, end: int, shift: int) -> Iterator[int]:
    at = data.find(b"\n", start, end)
    while at >= 0:
        yield at + 1 - shift
        at = data.find(b"\n", at + 1, end)


def _last_record_end(data: bytes) -> int:
    """Return where the last whole record ends in bytes that start with one; 0 if none does."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    last, gap = 0, 0
    for cell in _QUOTED_CELL.finditer(data):
        last = data.rfind(b"\n", gap, cell.start() + 1) + 1 or last
        gap = cell.end()
    # A quote at the very end may be the first of two: then no record ends behind it anyway.
    return data.rfind(b"\n", gap) + 1 or last


class _Utf8Check:
    """Passes blocks on, if all of them together are UTF-8."""

    def __init__(self, blocks: Iterable[bytes], place: Place) -> None:
        self._blocks = blocks
        self._position = place.start
        self._line = place.line

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks.

        Raises:
            UnreadableFile: with line, byte and what it looks like.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        for block in chain(self._blocks, [b""]):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as fault:
                raise self._refusal(fault, held) from None
            if block:
                self._position += len(block)
                yield block
                self._line += block.count(b"\n")

    def _refusal(self, fault: UnicodeDecodeError, held: int) -> UnreadableFile:
        data, at = bytes(fault.object), fault.start
        if self._position == held:
            refuse_utf_16(data)
        line = self._line + data[:at].count(b"\n")
        looks = data[at : at + 1].decode("cp1252", "replace")
        seen = f", which is {looks!r} in Windows-1252" if looks.isprintable() else ""
        return UnreadableFile(
            "not_utf8",
            f"line {line} is not UTF-8: byte {self._position - held + at} is 0x{data[at]:02X}{seen};"
            " save the file as CSV UTF-8",
        )


def _first_bytes(blocks: Iterator[bytes]) -> bytes:
    """Return so much of a file that its header is in it, if it has one."""
    begun = b""
    for block in blocks:
        begun += block
        if len(begun) > 2 * HEADER_BYTES:
            break
    return begun


_QUOTED_CELL: Final = re.compile(rb'(?:\A|(?<=[,\n])) *"(?:[^"]++|"")*+(?:"|\Z)')
_REST_OF_CELL: Final = re.compile(rb'(?:[^"]++|"")*+(")?')
_AFTER_QUOTE: Final = re.compile(f'"[{_BLANKS}]+(?=,|\r*\n|\r*\\Z)')
_CR_ALONE: Final = re.compile(r"\r++(?!\n|\Z)")
_UNCLOSED: Final = (
    "a quote that is opened in {line} is never closed, so nobody can tell where its record ends;"
    ' write " inside a cell as ""'
)
_TOO_LONG: Final = FieldError(
    "row", "line_too_long", f"is longer than {MAX_RECORD_CHARACTERS} characters"
)
_BAD_QUOTES: Final = FieldError(
    "row",
    "unbalanced_quotes",
    'has text behind a closing quote; write " inside a quoted cell as ""',
)
_LINE_BREAK: Final = FieldError(
    "row",
    "line_break",
    "has a carriage return alone; end lines with LF or CRLF, or put the cell into quotes",
)
