"""Files are read as Python's csv reads the whole of them, however they are cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.batch_files import (
    BEGINNINGS,
    COLUMNS,
    LINE_ENDS,
    PIECES,
    Figures,
    check,
    generated,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(BEGINNINGS),
    st.permutations(COLUMNS),
    st.sampled_from(LINE_ENDS),
    st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=25),
    st.booleans(),
)
def test_any_file_is_read_as_csv_reads_it(
    beginning: str,
    columns: list[str],
    line_end: str,
    pieces: list[str],
    is_small: bool,  # noqa: FBT001 - drawn
) -> None:
    check(f"{beginning}{','.join(columns)}{line_end}{''.join(pieces)}", is_small=is_small)


def test_generated_files_are_read_as_csv_reads_them() -> None:
    figures = Figures()
    for seed in range(150):
        figures.add(check(generated(seed), is_small=seed % 3 == 0))
    # Every kind of file and of record is among them.
    assert min(figures.paid, figures.unclosed, figures.over_many_lines) >= 5
    assert figures.rejected.keys() >= {
        *("line_break", "unbalanced_quotes", "column_count", "line_too_long", "invalid_format")
    }
