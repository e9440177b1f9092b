"""Python's csv over a whole file reads the records that the reader reads, however the file is cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.batch_files import PIECES, disagreements


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30), st.permutations(["a", "b"]))
def test_any_file_is_read_as_csv_reads_it(pieces: list[str], extra: list[str]) -> None:
    header = f"{extra[0]},payment_id,amount,{extra[1]},currency\n"
    assert disagreements(header + "".join(pieces)) == []
