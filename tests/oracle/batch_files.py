"""``make files-oracle``: read generated batch files as ours does and as Python's csv does.

The oracle of cells is ``csv.reader`` over the whole file at once; that of record ends is an
automaton written here, character by character, from RFC 4180 and csv's documentation. Carriage
returns alone are left out: csv takes one outside of quotes for an error.
"""

import argparse
import csv
import io
import random
import sys
import time
from collections.abc import Sequence
from typing import Final

from payments.batches.records import RejectedRow, ValidRow, plan_file, read_rows
from payments.core.faults import UnreadableFile

PIECES: Final = (
    *('"', '"', '""', ",", ",", "\n", "\r\n", "\r\r\n", " ", "\t", "\ufeff", "'"),
    *("a", "\u00e9", "\u20ac", "\U0001f600", "p1", "1.00", "USD", 'x"y', ', "', ',"', '",', '"\n'),
    *("\n,p1,1,,USD", '\n,p2,1,"note\nq,9,USD",USD'),
)
"""What files are made of."""

_BLANKS: Final = " \t\u00a0"
_RANGES: Final = (10**9, 1, 2, 5, 13)
_BLOCKS: Final = (10**6, 1, 3)

type Row = ValidRow | RejectedRow


def disagreements(text: str) -> list[str]:
    """Return a sentence for each thing that the reader reads otherwise than the oracle."""
    if text.startswith("\ufeff"):
        return []
    content = text.encode()
    is_unclosed, oracle = _oracle(text)
    found: list[str] = []
    for range_bytes in (*_RANGES, *range(1, len(content), max(1, len(content) // 7))):
        for block_bytes in _BLOCKS:
            how = f"ranges of {range_bytes}, blocks of {block_bytes}"
            try:
                rows = _read(content, range_bytes, block_bytes)
            except UnreadableFile as refused:
                if not (is_unclosed and refused.code == "unclosed_quote"):
                    found.append(f"{how}: refused, {refused}")
                continue
            if is_unclosed:
                found.append(f"{how}: an open quote was not noticed")
                continue
            if [row.line for row in rows] != [line for line, _ in oracle]:
                lines = [line for line, _ in oracle]
                found.append(f"{how}: records at {[row.line for row in rows]}, not {lines}")
                continue
            found.extend(
                f"{how}: line {row.line} has {row.cells}, not {cells}"
                for row, (_, cells) in zip(rows, oracle, strict=True)
                if isinstance(row, RejectedRow) and row.raw is None and list(row.cells) != cells
            )
    return found


def _read(content: bytes, range_bytes: int, block_bytes: int) -> list[Row]:
    def blocks(start: int, end: int) -> list[bytes]:
        return [content[at : min(at + block_bytes, end)] for at in range(start, end, block_bytes)]

    plan = plan_file(blocks(0, len(content)), range_bytes)
    return [
        row
        for part in plan.ranges
        for row in read_rows(blocks(part.start, part.end), plan.columns, part.first_line)
    ]


def _oracle(text: str) -> tuple[bool, list[tuple[int, list[str]]]]:
    """Return whether a quote is never closed, and each record that is not blank with its line."""
    if _is_open_at_the_end(text):
        return True, []
    records: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline="\n"), skipinitialspace=True)
    line = 1
    for cells in reader:
        if line > 1 and any(cell.strip(_BLANKS) for cell in cells):
            records.append((line, cells))
        line = reader.line_num + 1
    return False, records


def _is_open_at_the_end(text: str) -> bool:
    state = "start of a cell"
    for character in text:
        match state, character:
            case "quoted", '"':
                state = "behind a quote"
            case "quoted", _:
                pass
            case "behind a quote" | "start of a cell", '"':
                state = "quoted"
            case _, "," | "\n":
                state = "start of a cell"
            case "start of a cell", " ":
                pass
            case _:
                state = "in a cell"
    return state == "quoted"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read so many generated files; return 1 if one was read otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.batch_files", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first file; each has its own")
    options = parser.parse_args(arguments)
    started, wrong = time.monotonic(), 0
    for number in range(options.files):
        chance = random.Random(options.seed + number)
        pieces = (chance.choice(PIECES) for _ in range(chance.randint(0, 40)))
        text = "payment_id,amount,currency\n" + "".join(pieces)
        for told in disagreements(text):
            wrong += 1
            print(f"seed {options.seed + number}: {told}\n  {text!r}")
        if number % 5000 == 4999:
            seconds = time.monotonic() - started
            print(f"{number + 1:,} files in {seconds:,.0f} s, {wrong} disagreements", flush=True)
    print(f"{options.files:,} files, {wrong} disagreements")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
