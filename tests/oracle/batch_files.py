"""Generated batch files, read at every cut as Python's ``csv`` reads the whole of them at once.

``python -m tests.oracle.batch_files --files 100000`` reads many; what is read otherwise is shown
with the seed that makes the file again.

``csv`` alone decides where records begin and end, and what their cells are. It gives up in the
middle of a record where a carriage return stands alone outside quotes, so another character takes
its place wherever only the ends of records count. Such a record is then rejected.
"""

import argparse
import csv
import io
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final
from unittest.mock import patch

from payments.batches import records
from payments.batches.layout import PAYMENTS
from payments.batches.records import ByteRange, FilePlan, RejectedRow, ValidRow, plan_file
from payments.core.content import Content
from payments.core.faults import UnreadableFile
from payments.core.fields import FIELDS, OPTIONAL_FIELDS, check_fields

COLUMNS: Final = (*FIELDS, "note")
LINE_ENDS: Final = ("\n", "\r\n", "\r\r\n")
BEGINNINGS: Final = (
    "",
    "\ufeff",
    "\ufeff\ufeff",
    "sep=,\n",
    '"sep=,"\n',
    "\ufeffsep=,\r\n",
    "\n , ,\n",
)

PIECES: Final = (
    *('"', '"', '"', '""', ",", ",", "\n", "\n", "\r\n", "\r\r\n", "\r", " ", "  ", "\t", "\0"),
    *('","', '"\n', ',"', ', "', '" ,', '"\t,', '"\r\n', '"\r', '\r"', '\r,"', "'", "\u00a0"),
    *("a", "\u00e9", "\u20ac", "\U0001f600", "\ufeff", "\u2028", "\x0b", "p1", "1.00", "USD"),
    *("\np1,1,USD,x\n", '\np2,1,USD,"note\nq,9,USD,x"\n', "\n'p3', \"2\" ,USD\u00a0,x\n"),
)
"""What files of any kind are put together from."""

_TEXTS: Final = (
    *("p1", "10.00", "USD", "x y", "q,9,USD", "\u00fc", "\u20ac", "\U0001d11e", "", "", ""),
    *("\n", "\r\n", "\r", '"', '""', ",", " ", "\nq,9.00,USD,x\n"),
)
_BLANKS: Final = " \t\u00a0"
_BLOCKS: Final = (1, 2, 3, 7)
# Small enough for generated records to be too long.
_SMALL_RECORD: Final = 24
_SMALL_PIECE: Final = 16

type Row = ValidRow[Content] | RejectedRow
type Seen = tuple[int, Content] | tuple[int, tuple[str, ...], list[str], str | None]
"""A row as it is compared: the line and what is paid, or the cells, the codes and the raw text."""


class ReadOtherwiseError(AssertionError):
    """The reader does not read a file as the oracle does."""


@dataclass(slots=True)
class Figures:
    """What was read."""

    files: int = 0
    cuts: int = 0
    unclosed: int = 0
    paid: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    over_many_lines: int = 0

    def add(self, other: "Figures") -> None:
        """Add what another file has."""
        for name in ("files", "cuts", "unclosed", "paid", "over_many_lines"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejected += other.rejected


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file must be read as.

    Attributes:
        columns: its header.
        rows: its records that are not blank; the message of a fault is not compared.
        ends: the byte behind the header, and that behind each record, blank ones included.
        over_many_lines: how many of the records have more than one line.
    """

    columns: tuple[str, ...]
    rows: list[Seen]
    ends: list[int]
    over_many_lines: int


def expected(text: str, *, most_characters: int) -> Expected | int:
    """Return what a file with a header must be read as.

    A quote that is never closed makes it unreadable; then the line that opens it is returned.
    """
    mended = _LONE_CR.sub("x", text)
    opened = _open_in_line(mended)
    if opened:
        return opened
    lines = io.StringIO(text, newline="\n").readlines()
    marks = len(text) - len(text.lstrip("\ufeff"))
    reader = csv.reader(io.StringIO(mended[marks:], newline="\n"), skipinitialspace=True)
    columns: tuple[str, ...] = ()
    rows: list[Seen] = []
    ends: list[int] = []
    begun, at, over_many_lines = 0, 0, 0
    for cells in reader:
        record = "".join(lines[begun : reader.line_num])
        at += len(record.encode())
        if columns:
            ends.append(at)
            row = _row(begun + 1, record, columns, most_characters)
            rows += [row] if row else []
            over_many_lines += bool(row) and reader.line_num > begun + 1
        elif "".join(cells).strip() and not cells[0].startswith("sep="):
            columns = tuple(cells)
            ends.append(at)
        begun = reader.line_num
    return Expected(columns, rows, ends, over_many_lines)


def _open_in_line(text: str) -> int:
    """Return the line of the quote that is never closed, or 0: what follows would be a record."""
    *_, last = csv.reader(io.StringIO(f"{text}\nZ", newline="\n"), skipinitialspace=True)
    if last == ["Z"]:
        return 0
    return 1 + text.count("\n") - last[-1].removesuffix("\nZ").count("\n")


def _row(line: int, record: str, columns: tuple[str, ...], most_characters: int) -> Seen | None:
    raw = record.rstrip("\r\n")
    if len(raw) > most_characters:
        return line, (), ["line_too_long"], None
    cells, code = _cells(record)
    # A line break in a quoted cell is text, and one at the end of a record is none.
    texts = cells or [record.strip(f"{_BLANKS}\r\n")]
    if not any(text.strip(_BLANKS) for text in texts):
        return None
    code = code or ("column_count" if len(cells) != len(columns) else "")
    if code:
        return line, (), [code], raw
    read = dict(
        zip(columns, (cell.strip(_BLANKS).removeprefix("'") for cell in cells), strict=True)
    )
    options = {name: read[name] for name in OPTIONAL_FIELDS if read.get(name)}
    payment_id, amount, currency = (read[name] for name in FIELDS)
    content = check_fields(payment_id, amount, currency, options)
    if isinstance(content, Content):
        return line, content
    return line, tuple(cells), [fault.code for fault in content], None


def _cells(record: str) -> tuple[list[str], str]:
    """Return the cells of a record, or none and what is wrong with its form."""
    try:
        [cells] = csv.reader(_lines(record), skipinitialspace=True)
    except csv.Error:
        return [], "line_break"
    return (cells, "") if _is_strict(record) else ([], "unbalanced_quotes")


def _is_strict(record: str) -> bool:
    """Say whether nothing but blanks stands behind the closing quotes of a record."""
    # csv has no word for such blanks, so each run of them is left out, if that makes it well formed.
    try:
        list(csv.reader(_lines(_without_blanks_after_cells(record)), strict=True))
    except csv.Error:
        return False
    return True


def _without_blanks_after_cells(record: str) -> str:
    """Return a record without blanks around its quoted cells, found character by character."""
    kept, state = "", "start"
    for at, character in enumerate(record):
        rest = record[at:].lstrip(_BLANKS)
        ends_cell = not rest.rstrip("\r\n") or rest[0] == "," or rest.lstrip("\r")[:1] == "\n"
        match state, character:
            case "quoted", '"':
                state = "closed"
            case "quoted", _:
                pass
            case "start", " ":
                continue
            case "start" | "closed", '"':
                state = "quoted"
            case _, "," | "\n":
                state = "start"
            case "closed" | "behind", _ if character in _BLANKS and ends_cell:
                state = "behind"
                continue
            case _:
                state = "in a cell"
        kept += character
    return kept


def _lines(text: str) -> list[str]:
    return io.StringIO(text, newline="\n").readlines()


def check(text: str, *, is_small: bool = False) -> Figures:
    """Read a file with ranges of every size, cut into blocks everywhere, and in portions.

    Args:
        text: a file whose header can be read.
        is_small: let some characters be too many for a record.

    Raises:
        ReadOtherwiseError: it is not read as the oracle reads it.
    """
    content = text.encode()
    limit = _SMALL_RECORD if is_small else records.MAX_RECORD_CHARACTERS
    want = expected(text, most_characters=limit)
    with _small_limits() if is_small else nullcontext():
        for size in range(1, len(content) + 1):
            cut = [content[:size], content[size:]]
            _check_read(content, cut, size, want)
            _check_portions(content, size, want)
        for block in _BLOCKS:
            for size in {1, block, len(content)}:
                _check_read(content, _blocks(content, block), size, want)
    figures = Figures(files=1, cuts=2 * len(content) + 3 * len(_BLOCKS))
    if isinstance(want, int):
        figures.unclosed = 1
        return figures
    figures.over_many_lines = want.over_many_lines
    for row in want.rows:
        if len(row) == 2:
            figures.paid += 1
        else:
            figures.rejected.update(row[2])
    return figures


def _check_read(
    content: bytes, blocks: Sequence[bytes], range_bytes: int, want: Expected | int
) -> None:
    how = f"ranges of {range_bytes}, blocks of {[len(block) for block in blocks]}"
    try:
        plan = plan_file(blocks, range_bytes, PAYMENTS)
    except UnreadableFile as refused:
        _same_refusal(refused, want, how)
        return
    if isinstance(want, int):
        raise ReadOtherwiseError(f"{how}: the quote open since line {want} was not noticed")
    _same(plan, FilePlan(want.columns, _ranges(content, want, range_bytes)), how)
    rows: list[Row] = []
    for part in plan.ranges:
        inside = content[part.start : part.end]
        pieces = _blocks(inside, max(1, len(blocks[0]) - part.start))
        rows += records.read_rows(pieces, plan.columns, part.first_line, PAYMENTS)
    _same([_seen(row) for row in rows], want.rows, how)


def _check_portions(content: bytes, most_bytes: int, want: Expected | int) -> None:
    """Plan in several calls, each of which goes on where the one before ended."""
    how = f"portions of {most_bytes}"
    try:
        plan = plan_file(_blocks(content, 5), 7, PAYMENTS, most_bytes=most_bytes)
        ranges = plan.ranges
        while plan.unread:
            rest = _blocks(content[plan.unread.start :], 5)
            plan = plan_file(
                rest, 7, PAYMENTS, most_bytes=most_bytes, columns=plan.columns, place=plan.unread
            )
            ranges += plan.ranges
    except UnreadableFile as refused:
        _same_refusal(refused, want, how)
        return
    if isinstance(want, int):
        raise ReadOtherwiseError(f"{how}: the quote open since line {want} was not noticed")
    _same(ranges, _ranges(content, want, 7), how)


def _ranges(content: bytes, want: Expected, range_bytes: int) -> tuple[ByteRange, ...]:
    """Return the ranges: each ends with the first record that makes it as long as it should be."""
    start, *ends = want.ends
    ranges: list[ByteRange] = []
    for end in ends:
        if end - start >= range_bytes or end == len(content):
            ranges.append(ByteRange(start, end, 1 + content.count(b"\n", 0, start)))
            start = end
    return tuple(ranges)


def _seen(row: Row) -> Seen:
    if isinstance(row, ValidRow):
        return row.line, row.content
    return row.line, row.cells, [fault.code for fault in row.errors], row.raw


def _same_refusal(refused: UnreadableFile, want: Expected | int, how: str) -> None:
    if refused.code != "unclosed_quote" or isinstance(want, Expected):
        raise ReadOtherwiseError(f"{how}: refused, {refused}") from refused
    if f"opened in line {want} is never closed" not in str(refused):
        raise ReadOtherwiseError(f"{how}: opened in line {want}, but: {refused}") from refused


def _same(found: object, wanted: object, how: str) -> None:
    if found != wanted:
        raise ReadOtherwiseError(f"{how}\n  found  {found!r}\n  wanted {wanted!r}")


def _blocks(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@contextmanager
def _small_limits() -> Iterator[None]:
    """Let a record be too long soon, and let csv refuse what should never be given to it."""
    enough = 4 * (_SMALL_RECORD + 1)
    before = csv.field_size_limit(enough + _SMALL_PIECE)
    try:
        with patch.multiple(
            records,
            MAX_RECORD_CHARACTERS=_SMALL_RECORD,
            _ENOUGH_BYTES=enough,
            _PIECE_BYTES=_SMALL_PIECE,
        ):
            yield
    finally:
        csv.field_size_limit(before)


def generated(seed: int) -> str:
    """Return the file of a seed: a header that can be read, and rows of any kind."""
    chance = random.Random(seed)
    line_end = chance.choice(LINE_ENDS)
    names = [*COLUMNS]
    chance.shuffle(names)
    header = chance.choice((",".join(names), ", ".join(f'"{name}"' for name in names)))
    text = f"{chance.choice(BEGINNINGS)}{header}{line_end}"
    for _ in range(chance.randint(0, 4)):
        text += _tidy_row(chance, names) if chance.random() < 0.7 else _untidy_row(chance)
        text += chance.choice((line_end, line_end, line_end, *LINE_ENDS, ""))
    return text


def _tidy_row(chance: random.Random, names: Sequence[str]) -> str:
    right = {"payment_id": "p1", "amount": "1.00", "currency": "USD"}
    cells = [right.get(name) if chance.random() < 0.8 else None for name in names]
    if chance.random() < 0.1:
        cells = cells[: chance.randint(1, 3)] + [None] * chance.randint(0, 2)
    separator = "," if chance.random() < 0.8 else chance.choice((", ", " ,", "\t,", "  , ", ",\t"))
    return separator.join(_cell(chance, text) for text in cells)


def _cell(chance: random.Random, right: str | None) -> str:
    text = right or "".join(chance.choices(_TEXTS, k=chance.randint(0, 3)))
    if chance.random() < 0.5:
        return '"{}"'.format(text.replace('"', '""'))
    # Without quotes it holds nothing that needs them, but perhaps a quote that is a character.
    bare = re.sub(r"[,\r\n]", "", text)
    return bare if chance.random() < 0.1 else bare.replace('"', "")


def _untidy_row(chance: random.Random) -> str:
    text = "".join(chance.choices(PIECES, k=chance.randint(0, 14)))
    # Else almost half of all files would have a quote that is never closed.
    return text + '"' * (text.count('"') % 2) if chance.random() < 0.7 else text


def main(arguments: Sequence[str] | None = None) -> int:
    """Read so many generated files; return 1 if one was read otherwise, or none was read."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.oracle.batch_files",
        description="Read generated batch files at every cut and compare with Python's csv.",
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first file; each has its own")
    options = parser.parse_args(arguments)
    figures, wrong, started = Figures(), 0, time.monotonic()
    for number, seed in enumerate(range(options.seed, options.seed + options.files), 1):
        try:
            figures.add(check(generated(seed), is_small=seed % 3 == 0))
        except (ReadOtherwiseError, UnreadableFile) as fault:
            wrong += 1
            print(f"seed {seed}: {generated(seed)!r}\n{fault}", flush=True)
        if number % 1000 == 0:
            seconds = time.monotonic() - started
            print(f"{number:,} files in {seconds:,.0f} s, {wrong} read otherwise", flush=True)
    codes = ", ".join(f"{count:,} {code}" for code, count in figures.rejected.most_common())
    print(
        f"{figures.files:,} files read as csv reads them, at {figures.cuts:,} cuts; {wrong} read"
        f" otherwise. Rows: {figures.paid:,} paid; faults: {codes}; {figures.over_many_lines:,}"
        f" records over many lines; {figures.unclosed:,} files with a quote that is never closed"
    )
    return 1 if wrong or not figures.files else 0


_LONE_CR: Final = re.compile(r"\r+(?![\r\n]|\Z)")

if __name__ == "__main__":
    sys.exit(main())
