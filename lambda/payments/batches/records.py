"""Reading a batch file: which records it has, where it may be cut, and what each record asks for.

A record is one as RFC 4180 defines it, and Python's ``csv`` reads its cells: a quoted cell may hold
commas, quotes and line breaks, and nothing inside a cell is ever a row. A quote opens a quoted cell
only at a cell's start; anywhere else it is a character. What follows a closing quote up to the next
comma belongs to the cell, so where a record ends never depends on whether the record is well formed.
"""

import codecs
import csv
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import Any, Final, NamedTuple

from payments.batches.header import BEGINNING_BYTES, read_header, refuse_utf_16, without_marks
from payments.batches.layout import Layout
from payments.batches.record_ends import WHOLE_RECORDS, RecordEnds
from payments.core.content import RowContent
from payments.core.faults import FieldError, UnreadableFile
from payments.core.fields import NO_OPTIONS, ProcessorNeeds

MAX_RECORD_CHARACTERS: Final = 64 * 1024
"""A longer record is rejected alone; it is never held in memory."""

# A character has four bytes at most, so what has more bytes than this is a record too long.
_ENOUGH_BYTES: Final = 4 * (MAX_RECORD_CHARACTERS + 1)

# No more than this is read at once, however large the blocks are.
_PIECE_BYTES: Final = 1024 * 1024

# No cell that is given to csv is longer. Its own limit would end a record in the middle of a cell,
# and what follows inside the quotes would be taken for rows.
csv.field_size_limit(_ENOUGH_BYTES + _PIECE_BYTES)

BLANKS: Final = " \t\u00a0"
"""What is noise around the cells of fields that we read: blanks, tabs, no-break spaces."""


REMOVED_CARD_NUMBER: Final = "[card number removed]"
"""What stands in a report where a card number stood in the file."""


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


class ValidRow[C: RowContent](NamedTuple):
    """A record that asks for a payment or a refund, and the line it begins in.

    A tuple, because a large file makes millions of them.
    """

    line: int
    content: C


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A record that asks for nothing that can be done, the line it begins in, and every fault.

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
    layout: Layout[Any],
    *,
    most_bytes: int | None = None,
    columns: tuple[str, ...] | None = None,
    place: Place = _BEGINNING,
    needed: Iterable[str] = (),
) -> FilePlan:
    """Read a file through once and say how it may be cut.

    Args:
        blocks: the file's bytes from ``place`` on, in blocks of any size.
        range_bytes: about how many bytes a range should have; a range ends with a record.
        layout: the columns that it should have.
        most_bytes: about how many bytes to read at most; the plan then says what is unread.
        columns: the file's columns, if an earlier plan has read the header.
        place: where that plan left the file unread.
        needed: columns that it must have besides.

    Raises:
        UnreadableFile: it is empty, is not UTF-8, has no header, lacks a column, or has a quote
            that is opened and never closed.
    """
    checked = _Utf8Check(blocks, place)
    start, line = place.start, place.line
    rest: Iterator[bytes] = iter(checked)
    if columns is None:
        begun = _first_bytes(rest)
        # What is read beyond that would depend on the blocks.
        begun, behind = begun[:BEGINNING_BYTES], begun[BEGINNING_BYTES:]
        # Behind byte order marks a record starts: a quote there opens a cell.
        text = without_marks(begun)
        marks = len(begun) - len(text)
        header = read_header(
            begun,
            (marks + end for end in _first_ends(text, is_whole=not behind)),
            layout,
            needed,
        )
        columns, start, line = header.columns, header.end, header.line_after
        rest = chain([begun[header.end :] + behind], rest)
    ranges: list[ByteRange] = []
    ends = RecordEnds(line)
    position = start
    for block in rest:
        at: int | None = 0
        while at is not None and position + len(block) - start >= range_bytes:
            due = max(at, start + range_bytes - position - 1)
            ends.pass_over(block, at, due)
            at = ends.next_end(block, due)
            if at is not None:
                ranges.append(ByteRange(start, position + at, line))
                start, line = position + at, ends.line
        if at is not None:
            ends.pass_over(block, at, len(block))
        position += len(block)
        is_enough = most_bytes is not None and position - place.start >= most_bytes
        # Where nothing is left over, the file may have ended, and there would be nothing to read.
        if is_enough and ranges and position > start:
            return FilePlan(columns, tuple(ranges), Place(start, line))
    if ends.open_quote_line is not None:
        raise UnreadableFile("unclosed_quote", _UNCLOSED.format(line=ends.open_quote_line))
    if position > start:
        ranges.append(ByteRange(start, position, line))
    return FilePlan(columns, tuple(ranges))


def read_rows[C: RowContent](
    blocks: Iterable[bytes],
    columns: tuple[str, ...],
    first_line: int,
    layout: Layout[C],
    needs: ProcessorNeeds | None = None,
) -> Iterator[ValidRow[C] | RejectedRow]:
    """Yield each record of whole records, in order; blank ones are passed over.

    Args:
        blocks: bytes that start at a record's start, in blocks of any size.
        columns: the header's columns, as :func:`plan_file` found them.
        first_line: the number of the first line, for reports; the file's first is 1.
        layout: what its rows ask for.
        needs: what the processor needs of every payment besides.
    """
    reader = _RowReader(columns, first_line, layout, needs)
    held = b""
    too_long: RecordEnds | None = None
    for piece in _pieces(blocks):
        data = piece
        if too_long is not None:
            end = too_long.next_end(data, 0)
            if end is None:
                continue
            reader.go_to(too_long.line)
            data, too_long = data[end:], None
        data = held + data
        whole = _last_record_end(data)
        yield from reader.rows(data[:whole])
        held = data[whole:]
        if len(held) > _ENOUGH_BYTES:
            too_long = RecordEnds(reader.line)
            too_long.next_end(held, 0)
            yield RejectedRow(reader.line, (), (_TOO_LONG,))
            held = b""
    yield from reader.rows(held)


class _RowReader[C: RowContent]:
    """Reads the rows of whole records, and knows the line that it has come to."""

    def __init__(
        self,
        columns: tuple[str, ...],
        first_line: int,
        layout: Layout[C],
        needs: ProcessorNeeds | None,
    ) -> None:
        self.line = first_line
        self._check = layout.check
        self._needs = needs
        self._width = len(columns)
        self._at = tuple(columns.index(name) for name in layout.fields)
        self._options_at = {name: columns.index(name) for name in layout.options if name in columns}

    def rows(self, records: bytes) -> Iterator[ValidRow[C] | RejectedRow]:
        """Yield each row; blank records are passed over."""
        if not records:
            return
        text = records.decode("utf-8", "replace")
        # Only at LF, and kept: csv itself reads LF, CRLF and CR CR LF as one line end.
        lines = StringIO(text, newline="\n").readlines()
        most_lines = MAX_RECORD_CHARACTERS // len(max(lines, key=len))
        unread, taken = iter(lines), 0
        while taken < len(lines):
            taken = yield from self._sound_rows(lines, taken, unread, most_lines)
            if taken < len(lines):
                end = taken + _lines_of_record(lines, taken)
                row = self._read_alone(self.line + taken, lines[taken:end])
                if row is not None:
                    yield row
                taken, unread = end, (lines[at] for at in range(end, len(lines)))
        self.line += len(lines)

    def _sound_rows(
        self, lines: list[str], begin: int, unread: Iterator[str], most_lines: int
    ) -> Generator[ValidRow[C] | RejectedRow, None, int]:
        """Yield the rows of ``unread``, which are the lines from ``begin`` on.

        A record of more than ``most_lines`` lines may be too long.

        Returns:
            How many of the lines are read: all, or those before a record that csv refuses.
        """
        first, taken = self.line, begin
        first_at, second_at, third_at = self._at
        options_at, needs = self._options_at, self._needs
        width, new, check = self._width, tuple.__new__, self._check
        cells_of = csv.reader(unread, skipinitialspace=True, strict=True)
        try:
            for cells in cells_of:
                begun, taken = taken, begin + cells_of.line_num
                if taken - begun <= most_lines and len(cells) == width:
                    content = check(
                        cells[first_at],
                        cells[second_at],
                        cells[third_at],
                        _given(cells, options_at) if options_at else NO_OPTIONS,
                        needs,
                    )
                    if not isinstance(content, list):
                        yield new(ValidRow, (first + begun, content))
                        continue
                row = self._read_closely(first + begun, cells, lines[begun:taken])
                if row is not None:
                    yield row
        except csv.Error:
            return taken
        return taken

    def go_to(self, line: int) -> None:
        """Go on in this line, behind a record that was passed over."""
        self.line = line

    def _read_alone(self, line: int, lines: list[str]) -> ValidRow[C] | RejectedRow | None:
        """Read a record that csv refuses as it stands; a blank one is nothing."""
        record = "".join(lines)
        if _is_too_long(lines):
            return RejectedRow(line, (), (_TOO_LONG,))
        if not record.strip(f"{BLANKS}\r\n"):
            return None
        try:
            # Blanks between a closing quote and the comma are noise; other text is a fault.
            next(csv.reader([_AFTER_QUOTE.sub('"', record)], strict=True, skipinitialspace=True))
            cells = next(csv.reader(lines, skipinitialspace=True))
        except csv.Error:
            fault = _LINE_BREAK if _has_cr_alone(lines) else _BAD_QUOTES
            return _unfit(line, lines, fault)
        return self._read_closely(line, cells, lines)

    def _read_closely(
        self, line: int, cells: list[str], lines: list[str]
    ) -> ValidRow[C] | RejectedRow | None:
        """Read a row that is not plainly valid; a blank one is nothing."""
        if _is_too_long(lines):
            return RejectedRow(line, (), (_TOO_LONG,))
        if not any(cell.strip(BLANKS) for cell in cells):
            return None
        if len(cells) != self._width:
            fault = FieldError(
                "row", "column_count", f"has {len(cells)} cells, the header has {self._width}"
            )
            return _unfit(line, lines, fault)
        # Our reports put an apostrophe before what a spreadsheet takes for a formula, such as -1.
        read = [cell.strip(BLANKS).removeprefix("'") for cell in cells]
        first, second, third = (read[at] for at in self._at)
        checked = self._check(first, second, third, _given(read, self._options_at), self._needs)
        if not isinstance(checked, list):
            return ValidRow(line, checked)
        # A report must not spread a card number further.
        told = list(cells)
        for fault in checked:
            if fault.code == "card_number":
                told[self._options_at[fault.field]] = REMOVED_CARD_NUMBER
        return RejectedRow(line, tuple(told), tuple(checked))


def _given(cells: list[str], options_at: Mapping[str, int]) -> dict[str, str]:
    """Return the optional fields that a row gives; an empty cell gives none."""
    return {name: cells[at] for name, at in options_at.items() if cells[at]}


def _is_too_long(lines: list[str]) -> bool:
    return len("".join(lines).rstrip("\r\n")) > MAX_RECORD_CHARACTERS


def _has_cr_alone(lines: list[str]) -> bool:
    """Say whether csv, when it is not strict, refuses a record all the same."""
    try:
        next(csv.reader(lines, skipinitialspace=True))
    except csv.Error:
        return True
    return False


def _lines_of_record(lines: list[str], begun: int) -> int:
    """Return how many lines a record has that csv refuses, perhaps before it ends."""
    # A reader that is not strict finds the end, once each carriage return alone is replaced. What
    # stands in quotes behind the fault is still inside a cell, and no row.
    mended = (_CR_ALONE.sub("x", lines[at]) for at in range(begun, len(lines)))
    reader = csv.reader(mended, skipinitialspace=True)
    next(reader)
    return reader.line_num


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), _PIECE_BYTES):
            yield block[start : start + _PIECE_BYTES]


def _unfit(line: int, lines: list[str], fault: FieldError) -> RejectedRow:
    return RejectedRow(line, (), (fault,), "".join(lines).rstrip("\r\n"))


def _first_ends(begun: bytes, *, is_whole: bool) -> Iterator[int]:
    """Yield where the records end in a file's first bytes, or in the whole of it."""
    ends, at = RecordEnds(1), 0
    while (end := ends.next_end(begun, at)) is not None:
        yield end
        at = end
    # The last record of a file needs no line break.
    if is_whole:
        yield len(begun)


def _last_record_end(data: bytes) -> int:
    """Return where the last whole record ends in bytes that start with one; 0 if none does."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    whole = WHOLE_RECORDS.match(data)
    return whole.end() if whole else 0


class _Utf8Check:
    """Passes blocks on, if all of them together are UTF-8."""

    def __init__(self, blocks: Iterable[bytes], place: Place) -> None:
        self._blocks = blocks
        self._position = place.start
        self.line = place.line

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
                self.line += block.count(b"\n")

    def _refusal(self, fault: UnicodeDecodeError, held: int) -> UnreadableFile:
        data, at = bytes(fault.object), fault.start
        if self._position == held:
            refuse_utf_16(data)
        line = self.line + data[:at].count(b"\n")
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
        if len(begun) > BEGINNING_BYTES:
            break
    return begun


_AFTER_QUOTE: Final = re.compile(f'"[{BLANKS}]+(?=,|\r*\n|\r*\\Z)')
_CR_ALONE: Final = re.compile(r"\r++(?!\n|\Z)")
_UNCLOSED: Final = (
    "a quote that is opened in line {line} is never closed, so nobody can tell where its record ends;"
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
