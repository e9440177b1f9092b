"""Names of executions: one for each subject and number, and all that AWS takes."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from payments.core.executions import MOST_EXECUTIONS, execution_name
from tests.unit.cloud import BATCH_ID

SUBJECTS = (
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
    | st.from_regex(r"batch_[0-9a-f]{32}", fullmatch=True)
    | st.from_regex(r"restart-0[1-3]-[0-9a-f]{53}", fullmatch=True)
)
NUMBERS = st.integers(1, MOST_EXECUTIONS)


@given(SUBJECTS, NUMBERS, SUBJECTS, NUMBERS)
def test_no_two_executions_have_one_name(
    subject: str, number: int, other: str, other_number: int
) -> None:
    same = execution_name(subject, number) == execution_name(other, other_number)
    assert same is ((subject, number) == (other, other_number))


@given(SUBJECTS)
def test_the_executions_of_one_subject_differ_and_the_first_is_called_like_it(subject: str) -> None:
    names = [execution_name(subject, number) for number in range(1, MOST_EXECUTIONS + 1)]
    assert names[0] == subject
    assert len(set(names)) == MOST_EXECUTIONS


@given(SUBJECTS, NUMBERS)
@example("x" * 64, MOST_EXECUTIONS)
@example(BATCH_ID, 2)
def test_a_name_has_at_most_80_characters_that_cloudwatch_logs_takes(
    subject: str, number: int
) -> None:
    """See https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", execution_name(subject, number))
