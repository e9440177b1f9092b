"""Four eyes: which payments wait, who is who, and what a decision changes."""

from dataclasses import replace

import pytest

from payments.core.payment import Payment, PaymentStatus
from payments.core.review import Decision, Person, Review, ReviewLimits
from tests.unit.cloud import payment_content
from tests.unit.trails import Trail

LATER = "2026-01-01T00:00:01.000000Z"


@pytest.mark.parametrize(
    ("amount_minor", "currency", "waits"),
    [
        (4999, "USD", False),
        (5000, "USD", False),
        (5001, "USD", True),
        (5001, "JPY", True),
        (10**17, "EUR", False),
    ],
)
def test_a_payment_above_the_limit_of_its_currency_waits(
    amount_minor: int, currency: str, *, waits: bool
) -> None:
    limits = ReviewLimits.read("USD=50.00,JPY=5000")
    assert limits.need(payment_content("pay_1", amount_minor, currency)) is waits


def test_a_limit_is_a_number_as_a_machine_writes_it() -> None:
    limits = ReviewLimits.read("USD=50.000")
    assert not limits.need(payment_content("pay_1", 5000, "USD"))
    assert limits.need(payment_content("pay_1", 5001, "USD"))


@pytest.mark.parametrize("text", ["XXX=1", "USD", "USD=", "USD=x", "=1", "USD=1,EUR=0", "usd=1"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="REVIEW_ABOVE has"):
        ReviewLimits.read(text)


@pytest.mark.parametrize(
    ("unique_id", "arn", "name"),
    [
        ("AROA:Alice@example.com", "", "alice@example.com"),
        ("AROA:Alice", "arn:aws:sts::123456789012:assumed-role/payer/Somebody", "alice"),
        ("AIDA", "arn:aws:iam::123456789012:user/team/Alice", "alice"),
        ("AIDA", "", "aida"),
    ],
)
def test_a_person_is_called_like_the_session_or_else_the_user(
    unique_id: str, arn: str, name: str
) -> None:
    assert Person.of(unique_id, arn) == Person(unique_id, name)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (Person("AIDA1", "alice"), True),
        (Person("AIDA1", "renamed"), True),
        (Person("AIDA2", "alice"), True),
        (Person("AIDA2", "bob"), False),
    ],
)
def test_one_id_or_one_name_is_one_person(other: Person, *, is_same: bool) -> None:
    assert Person("AIDA1", "alice").is_same_as(other) is is_same


def in_review(review: Review | None = Review.REQUIRED) -> Payment:
    return replace(Trail(PaymentStatus.IN_REVIEW).payment, review=review)


def test_a_decision_is_one_more_record_and_leaves_the_status() -> None:
    before = in_review()
    decision = Decision(Review.APPROVED, Person("AIDABOB", "bob"), "", LATER, "request-2")
    assert before.reviewed(decision, "hash") == replace(
        before,
        review=Review.APPROVED,
        reviewer_id="AIDABOB",
        version=3,
        updated_at=LATER,
        audit_hash="hash",
    )


@pytest.mark.parametrize(
    ("review", "status", "waits", "is_open"),
    [
        (Review.REQUIRED, PaymentStatus.PENDING, True, True),
        (Review.REQUIRED, PaymentStatus.IN_REVIEW, True, False),
        (Review.REQUIRED, PaymentStatus.CANCELED, False, False),
        (Review.APPROVED, PaymentStatus.IN_REVIEW, False, True),
        (Review.REJECTED, PaymentStatus.IN_REVIEW, False, True),
        (Review.APPROVED, PaymentStatus.COMPLETED, False, False),
        (None, PaymentStatus.IN_REVIEW, False, False),
        (None, PaymentStatus.PROCESSING, False, True),
    ],
)
def test_a_payment_in_review_is_moved_on_once_it_is_decided(
    review: Review | None, status: PaymentStatus, *, waits: bool, is_open: bool
) -> None:
    payment = replace(in_review(review), status=status)
    assert payment.waits_for_decision is waits
    assert payment.is_open is is_open


def test_only_the_review_that_is_required_is_not_decided() -> None:
    assert [each for each in Review if not each.is_decided] == [Review.REQUIRED]
