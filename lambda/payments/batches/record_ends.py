"""Where the records of a file end, found in its bytes without reading the cells.

Python's ``csv`` says what a record is. This follows its state machine (``Modules/_csv.c``, not
strict, with ``skipinitialspace``), so that a file can be cut without reading its cells first:

- A quote opens a quoted cell only at a cell's start; blanks may stand before it. Anywhere else it
  is a character. In a quoted cell two quotes are one, and a single one closes it.
- Text after a closing quote belongs to the cell, and the quotes in it are characters.
- LF outside quotes ends a record. A CR is a character: what is wrong with a record, such as a CR
  alone, never changes where it ends.

In UTF-8 the bytes of quote, comma and LF are never part of another character.
"""

import re
from enum import Enum, auto
from typing import Final


class _State(Enum):
    START = auto()
    """At the start of a cell, or in the blanks there."""
    CELL = auto()
    """In a cell that has no quotes, or after the quotes of one that has: quotes are characters."""
    QUOTED = auto()
    """In a quoted cell."""
    QUOTE = auto()
    """After a quote in a quoted cell: the next byte tells whether it closes the cell."""


class RecordEnds:
    """Follows a file from the start of a record, in blocks of any size; keeps none of them.

    Attributes:
        line: the number of the line that was reached; lines end with LF.
    """

    def __init__(self, line: int) -> None:
        self.line = line
        self._state = _State.START
        self._opened_line = line
        # Where in the block at hand the last quoted cell was opened, if it was opened there.
        self._opened_at: int | None = None

    @property
    def open_quote_line(self) -> int | None:
        """The line in which a quoted cell was opened that is still open, or ``None``."""
        return self._opened_line if self._state is _State.QUOTED else None

    def pass_over(self, block: bytes, start: int, end: int) -> None:
        """Go on from byte ``start`` of a block to byte ``end``."""
        at = start
        while at < end:
            # The pattern looks back at what ended the cell before.
            if self._state is _State.START and block[at - 1 : at] in _SEPARATORS:
                begin, at = at, _end(_MANY_CELLS, block, at, end)
                self._state = _state_after(block, begin, at)
            at = self._step(block, at, end)
        self._leave(block, start, end)

    def next_end(self, block: bytes, start: int) -> int | None:
        """Go on from byte ``start`` of a block to the first end of a record.

        Returns:
            Where in the block the next record starts, or ``None``: the record goes on after it.
        """
        at, end = start, len(block)
        while at < end:
            at = self._step(block, at, end)
            if self._state is _State.START and block[at - 1] == _LF:
                self._leave(block, start, at)
                return at
        self._leave(block, start, end)
        return None

    def _leave(self, block: bytes, start: int, end: int) -> None:
        if self._opened_at is not None:
            self._opened_line = self.line + block.count(b"\n", start, self._opened_at)
            self._opened_at = None
        self.line += block.count(b"\n", start, end)

    def _step(self, block: bytes, at: int, end: int) -> int:
        """Go on to the next change of state, at most to ``end``, and return where that is."""
        at = _end(_STAYS_IN[self._state], block, at, end)
        if at == end:
            return end
        is_quote = block[at] == _QUOTE
        match self._state:
            case _State.START if is_quote:
                self._state, self._opened_at = _State.QUOTED, at
            case _State.QUOTED:
                self._state = _State.QUOTE
            case _State.QUOTE if is_quote:
                self._state = _State.QUOTED
            case _State.START | _State.QUOTE:
                self._state = _State.CELL
                return at
            case _State.CELL:
                self._state = _State.START
        return at + 1


def _end(pattern: re.Pattern[bytes], block: bytes, start: int, end: int) -> int:
    """Return where a pattern that matches anything, if only nothing, stops."""
    found = pattern.match(block, start, end)
    if found is None:
        raise AssertionError(pattern)
    return found.end()


def _state_after(block: bytes, start: int, end: int) -> _State:
    """Return the state after many cells, which stop outside quotes."""
    last = end
    while last > start and block[last - 1] == _BLANK:
        last -= 1
    is_start = last == start or block[last - 1 : last] in _SEPARATORS
    return _State.START if is_start else _State.CELL


_LF, _QUOTE, _BLANK = b'\n" '
_SEPARATORS: Final = frozenset((b",", b"\n"))
_QUOTED: Final = rb'"[^"]*+(?:""[^"]*+)*+"'
_REST_OF_CELL: Final = rb"[^,\n]*+(?=[,\n])"
# What passes over cells at the speed of C, from a separator on: text without quotes, whole quoted
# cells, and quotes that clearly are characters. In front of anything else it stops.
_MANY_CELLS: Final = re.compile(
    rb'(?:[^"]*+(?:(?:(?<=[,\n])|(?<=[,\n] ))%b%b(?:[,\n] *+%b%b)*+'
    rb'|(?:(?<![,\n "])|(?<=[^,\n "] ))"%b))*+[^"]*+'
    % (_QUOTED, _REST_OF_CELL, _QUOTED, _REST_OF_CELL, _REST_OF_CELL)
)
_CELL: Final = rb'(?: *+%b[^,\n]*+|(?! *+")[^,\n]*+)' % _QUOTED
WHOLE_RECORDS: Final = re.compile(rb"(?:%b(?:,%b)*+\n)*+" % (_CELL, _CELL))
"""Matches, from the start of a record on, all records that end with their LF."""

_STAYS_IN: Final = {
    # Whole cells of the record, each with the comma after it.
    _State.START: re.compile(
        rb'(?:(?:(?! *+")[^,\n]*+| *+%b[^,\n]*+),)*+ *+' % _QUOTED,
    ),
    _State.CELL: re.compile(rb"[^,\n]*+"),
    _State.QUOTED: re.compile(rb'[^"]*+(?:""[^"]*+)*+'),
    _State.QUOTE: re.compile(rb""),
}
