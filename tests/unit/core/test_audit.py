"""The audit trail: what no payment, no operation and no reviewer may do is found and named."""

from typing import Any

import pytest

from payments.core.audit import AuditRecord, chain_faults, record_hash
from payments.core.payment import PaymentRequest, PaymentStatus
from payments.core.review import Person, Review
from tests.unit.cloud import AT, payment_request
from tests.unit.trails import Trail, authorized, completed

ALICE, BOB = Person("AIDAALICE", "alice"), Person("AIDABOB", "bob")
IN_REVIEW, PROCESSING, COMPLETED = (
    PaymentStatus.IN_REVIEW,
    PaymentStatus.PROCESSING,
    PaymentStatus.COMPLETED,
)


def sealed_anew(records: list[AuditRecord]) -> list[AuditRecord]:
    """Return records with places, hashes and chain as if they had been written so."""
    previous = records[0]["previous_hash"]
    for place, record in enumerate(records, start=1):
        record |= {"sequence": place, "previous_hash": previous}
        record["hash"] = previous = record_hash(record)
    return records


def faults(records: list[AuditRecord]) -> list[str]:
    return chain_faults("pay_1", sealed_anew(records))


def reviewed(*statuses: PaymentStatus, submitter: Person | None = ALICE) -> Trail:
    """Return the trail of a payment that Alice submitted, and that somebody else must look at."""
    content = payment_request().content
    request = PaymentRequest(content, "api", "request-1", submitter, needs_review=True)
    return Trail(*statuses, request=request)


class TestReview:
    """What a second person decides."""

    def test_a_payment_that_somebody_else_approved_may_be_charged(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.APPROVED, BOB)
        trail.move(PROCESSING)
        trail.move(COMPLETED)
        assert trail.faults == []

    def test_a_decision_says_who_made_it_and_why_in_its_place_of_the_chain(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.APPROVED, BOB)
        assert trail.records[-1] | {"hash": ""} == {
            "kind": "review",
            "payment_id": "pay_1",
            "sequence": 3,
            "at": AT,
            "created_at": AT,
            "correlation_id": "request-1",
            "actor": "api",
            "request_id": "request-3",
            "to": "approved",
            "reviewer_id": "AIDABOB",
            "reviewer_name": "bob",
            "note": "as agreed",
            "amount_minor": 9999,
            "currency": "USD",
            "exponent": 2,
            "content_hash": trail.payment.content.hash,
            "postings": [],
            "previous_hash": trail.records[1]["hash"],
            "hash": "",
        }

    def test_a_payment_that_is_charged_without_a_decision_is_found(self) -> None:
        trail = reviewed(IN_REVIEW, PROCESSING)
        assert trail.faults == ["pay_1 record 3: 'IN_REVIEW' → 'PROCESSING' without a decision"]

    def test_a_payment_that_is_charged_although_it_was_rejected_is_found(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.REJECTED, BOB)
        trail.move(PROCESSING)
        assert trail.faults == ["pay_1 record 4: 'IN_REVIEW' → 'PROCESSING' without a decision"]

    @pytest.mark.parametrize("submitter", [ALICE, Person("AIDAALICE", "other")])
    def test_who_decides_about_an_own_payment_is_found(self, submitter: Person) -> None:
        trail = reviewed(IN_REVIEW, submitter=submitter)
        trail.decide(Review.APPROVED, ALICE)
        assert trail.faults == ["pay_1 record 3: who submitted the payment has decided about it"]

    def test_a_decision_of_nobody_is_found(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.APPROVED, BOB)
        del trail.records[-1]["reviewer_id"]
        assert faults(trail.records) == [
            "pay_1 record 3: who submitted the payment has decided about it"
        ]

    def test_anybody_may_decide_where_it_is_not_known_who_submitted(self) -> None:
        trail = reviewed(IN_REVIEW, submitter=None)
        trail.decide(Review.APPROVED, BOB)
        assert trail.faults == []

    def test_a_second_decision_is_found(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.APPROVED, BOB)
        trail.decide(Review.REJECTED, BOB)
        assert trail.faults == [
            "pay_1 record 4: a decision 'rejected' in 'IN_REVIEW' after 'approved'"
        ]

    def test_a_decision_before_the_review_is_found(self) -> None:
        trail = reviewed()
        trail.decide(Review.APPROVED, BOB)
        assert trail.faults == [
            "pay_1 record 2: a decision 'approved' in 'PENDING' after 'required'"
        ]

    def test_a_decision_that_is_none_is_found(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.APPROVED, BOB)
        trail.records[-1]["to"] = "required"
        assert faults(trail.records) == ["pay_1 record 3: 'required' is no decision"]

    def test_a_decision_that_posts_is_found(self) -> None:
        trail = reviewed(IN_REVIEW)
        trail.decide(Review.APPROVED, BOB)
        posting = {"debit": "processor", "credit": "client", "amount_minor": 9999}
        trail.records[-1]["postings"] = [posting]
        assert faults(trail.records) == [f"pay_1 record 3: posts [{posting}], not []"]


class TestSteps:
    """What may follow what."""

    def test_a_step_that_no_payment_makes_is_found(self) -> None:
        trail = completed()
        _, charged, _ = trail.records
        charged["to"] = "COMPLETED"
        assert faults(trail.records)[0] == (
            "pay_1 record 2: 'PENDING' → 'COMPLETED' after 'PENDING'"
        )

    def test_a_step_from_where_the_payment_is_not_is_found(self) -> None:
        trail = Trail(PROCESSING, COMPLETED)
        trail.records.pop(1)
        assert faults(trail.records)[0] == (
            "pay_1 record 2: 'PROCESSING' → 'COMPLETED' after 'PENDING'"
        )

    def test_an_outcome_of_an_operation_that_nobody_asked_for_is_found(self) -> None:
        trail = completed()
        trail.refund("r1", 100)
        asked = trail.records.pop()
        done = {**asked, "from": "PENDING", "to": "COMPLETED", "postings": []}
        assert faults([*trail.records, done])[0] == (
            "pay_1 record 4: refund 'r1': 'PENDING' → 'COMPLETED' after None"
        )

    def test_a_capture_without_a_rest_releases_nothing(self) -> None:
        trail = authorized()
        trail.capture("c1", 9999)
        assert "rest_minor" not in trail.records[-1]
        assert trail.faults == []

    def test_a_refund_of_more_than_there_is_is_found(self) -> None:
        trail = completed()
        trail.refund("r1", 9999)
        trail.records[-1]["operation_minor"] = 10000
        assert faults(trail.records)[0].startswith(
            "pay_1 record 4: cannot be followed: amounts do not add up"
        )

    def test_a_record_of_a_payment_without_an_amount_posts_nothing_of_it(self) -> None:
        trail = completed()
        del trail.records[-1]["amount_minor"]
        assert "pay_1 record 3: cannot be followed: 'amount_minor'" in faults(trail.records)


class TestChain:
    """Each record in its place."""

    def test_each_record_is_expected_after_the_one_before_it(self) -> None:
        records = completed().records
        del records[1]
        assert "pay_1 record 3: record 2 was expected here" in chain_faults("pay_1", records)

    def test_only_the_record_that_is_out_of_place_is_reported_so(self) -> None:
        first, *others = completed().records
        moved: list[dict[str, Any]] = [first, *({**each, "sequence": 9} for each in others)]
        moved[2]["sequence"] = 10
        found = [each for each in chain_faults("pay_1", moved) if "expected" in each]
        assert found == ["pay_1 record 9: record 2 was expected here"]

    def test_a_record_without_a_place_takes_the_one_that_was_expected(self) -> None:
        records: list[dict[str, Any]] = [dict(each) for each in completed().records]
        records[1]["sequence"] = "2"
        found = [each for each in chain_faults("pay_1", records) if "expected" in each]
        assert found == ["pay_1 record 2: record 2 was expected here"]

    def test_a_value_that_json_does_not_have_does_not_match_any_hash(self) -> None:
        records: list[dict[str, Any]] = [dict(each) for each in completed().records]
        records[1]["note"] = b"bytes"
        assert chain_faults("pay_1", records) == [
            "pay_1 record 2: its content does not match its hash"
        ]

    def test_another_amount_or_currency_in_any_record_of_a_payment_is_named(self) -> None:
        trail = completed()
        trail.records[1]["currency"] = "EUR"
        del trail.records[1]["exponent"]
        assert faults(trail.records) == [
            "pay_1 record 2: currency is not what was accepted",
            "pay_1 record 2: exponent is not what was accepted",
        ]

    def test_the_record_of_an_operation_needs_no_hash_of_the_content(self) -> None:
        trail = completed()
        trail.refund("r1", 100)
        assert "content_hash" not in trail.records[-1]
        assert trail.faults == []
        trail.records[-1]["content_hash"] = "0" * 64
        assert faults(trail.records) == ["pay_1 record 4: content_hash is not what was accepted"]
