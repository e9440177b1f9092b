"""Four eyes for refunds: a large one waits for another person than the one who asked for it."""

from dataclasses import replace
from typing import Any

import pytest

from payments.aws.items import deserialize
from payments.aws.lists import PaymentLists
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.core.amounts import Amounts
from payments.core.asking import Asked
from payments.core.audit import AuditRecord, chain_faults, record_hash
from payments.core.clock import utc_now
from payments.core.faults import OperationNotFound, PaymentNotFound
from payments.core.messages import OperationMessage, decode_message
from payments.core.operation import Operation, OperationKind, OperationStatus
from payments.core.review import (
    OwnRefund,
    Person,
    RefundNotInReview,
    Review,
    ReviewDecided,
    ReviewLimits,
)
from payments.flows.charge import Charging
from payments.flows.delivery import OperationDelivery
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.review import RefundReviews, WaitingList
from payments.flows.sweep import OperationSweep, RefundReviewSweep
from tests.unit.cloud import (
    AT,
    TABLES,
    WITNESS,
    Cloud,
    Started,
    add_due_index,
    add_open_index,
    payment_request,
    repeat_committed_writes,
)

LIMITS = ReviewLimits.read("USD=50.00")
ALICE = Person("AIDAALICE", "alice")
ALICE_ELSEWHERE = Person.of("AROAAPPROVER:Alice")
BOB = Person("AIDABOB", "bob")
CAROL = Person("AIDACAROL", "carol")
NOTE = "the goods came back"
IN_REVIEW, PENDING, COMPLETED, FAILED = (
    OperationStatus.IN_REVIEW,
    OperationStatus.PENDING,
    OperationStatus.COMPLETED,
    OperationStatus.FAILED,
)


@pytest.fixture(autouse=True)
def paid(store: PaymentStore, charging: Charging) -> None:
    """A payment of 100.00 USD that was charged."""
    store.create(payment_request(amount_minor=10000), actor="api", at=AT)
    charging.charge_by_id("pay_1", WITNESS)


@pytest.fixture
def intake(
    store: PaymentStore, operation_store: OperationStore, queues: PaymentQueues
) -> OperationIntake:
    """Who accepts refunds, with a limit."""
    return OperationIntake(store, operation_store, queues, limits=LIMITS)


@pytest.fixture
def reviews(
    store: PaymentStore, operation_store: OperationStore, queues: PaymentQueues
) -> RefundReviews:
    """Who takes decisions."""
    return RefundReviews(store, operation_store, queues)


def asked(amount: str | None = "50.01", refund_id: str = "r1", **changes: Any) -> Asked:
    return Asked(
        kind=OperationKind.REFUND,
        payment_id="pay_1",
        operation_id=refund_id,
        amount=amount,
        **{"source": "api", "correlation_id": "request-2", "submitter": ALICE, **changes},
    )


@pytest.fixture
def waiting(intake: OperationIntake) -> Operation:
    """A refund of Alice's that waits for a decision."""
    return intake.refund(asked())[0]


def decide(reviews: RefundReviews, review: Review, by: Person = BOB) -> tuple[Operation, bool]:
    refund, _, is_new = reviews.decide(
        "pay_1", "r1", review, note=NOTE, by=by, request_id="request-9"
    )
    return refund, is_new


def stored(operation_store: OperationStore, refund_id: str = "r1") -> Operation:
    refund = operation_store.get("pay_1", OperationKind.REFUND, refund_id)
    assert refund is not None
    return refund


def amounts(store: PaymentStore) -> Amounts:
    payment = store.get("pay_1")
    assert payment is not None
    return payment.amounts


def trail(cloud: Cloud) -> list[AuditRecord]:
    records = map(deserialize, cloud.items(TABLES.audit_logs))
    return sorted(records, key=lambda record: record["sequence"])


def deliver(cloud: Cloud, performing: Performing, workflow: Started) -> int:
    """Handle all messages there are; return how many there were."""
    messages = cloud.messages()
    for message in messages:
        decoded = decode_message(message["Body"])
        assert isinstance(decoded, OperationMessage)
        OperationDelivery(performing, workflow).deliver(decoded, WITNESS, is_first=True)
    return len(messages)


def test_a_refund_above_the_limit_waits_and_its_amount_is_reserved(
    intake: OperationIntake, store: PaymentStore, cloud: Cloud
) -> None:
    refund, payment, created = intake.refund(asked())
    assert (refund.status, refund.review, created) == (IN_REVIEW, Review.REQUIRED, True)
    assert (payment.amounts.refunds_pending, payment.amounts.refundable) == (5001, 4999)
    assert amounts(store) == payment.amounts
    assert not cloud.messages()
    told = trail(cloud)[-1]
    assert (told["to"], told["submitter_name"], told["event_type"]) == (
        *("IN_REVIEW", "alice"),
        "refund.in_review",
    )
    assert chain_faults("pay_1", trail(cloud)) == []


@pytest.mark.parametrize(("limits", "amount"), [("USD=50.00", "50.00"), ("EUR=50.00", "100.00")])
def test_a_refund_up_to_the_limit_or_without_one_waits_for_nobody(
    store: PaymentStore,
    operation_store: OperationStore,
    queues: PaymentQueues,
    cloud: Cloud,
    limits: str,
    amount: str,
) -> None:
    intake = OperationIntake(store, operation_store, queues, limits=ReviewLimits.read(limits))
    assert intake.refund(asked(amount))[0].status is PENDING
    assert len(cloud.messages()) == 1


def test_an_amount_above_the_limit_cannot_be_given_back_in_parts_either(
    intake: OperationIntake,
) -> None:
    assert intake.refund(asked("30.00", "r1"))[0].status is PENDING
    assert intake.refund(asked("20.00", "r2"))[0].status is PENDING
    assert intake.refund(asked("0.01", "r3"))[0].status is IN_REVIEW


def test_all_that_is_left_is_compared_with_the_limit_as_what_it_means(
    intake: OperationIntake,
) -> None:
    assert intake.refund(asked(None))[0].status is IN_REVIEW


@pytest.mark.usefixtures("waiting")
def test_the_same_request_again_is_the_same_refund_and_wakes_nobody(
    intake: OperationIntake, cloud: Cloud
) -> None:
    again, _, created = intake.refund(asked())
    assert (again.status, created) == (IN_REVIEW, False)
    assert not cloud.messages()


def test_a_message_about_a_refund_in_review_gives_nothing_back(
    waiting: Operation,
    queues: PaymentQueues,
    cloud: Cloud,
    performing: Performing,
    workflow: Started,
    operation_store: OperationStore,
) -> None:
    queues.send_operation(waiting)
    assert deliver(cloud, performing, workflow) == 1
    assert stored(operation_store) == waiting
    assert not workflow.started


@pytest.mark.usefixtures("waiting")
def test_an_approved_refund_is_given_back_once_with_the_decision_in_its_trail(
    reviews: RefundReviews,
    cloud: Cloud,
    performing: Performing,
    workflow: Started,
    store: PaymentStore,
    operation_store: OperationStore,
) -> None:
    refund, is_new = decide(reviews, Review.APPROVED)
    assert (refund.status, refund.attempts, is_new) == (PENDING, 0, True)
    assert decide(reviews, Review.APPROVED) == (refund, False)
    assert deliver(cloud, performing, workflow) == 2
    assert (stored(operation_store).status, amounts(store).refunded) == (COMPLETED, 5001)
    records = [record for record in trail(cloud) if record["kind"] == "refund"]
    assert [record["to"] for record in records] == ["IN_REVIEW", "PENDING", "COMPLETED"]
    told = records[1]
    assert (told["reviewer_id"], told["reviewer_name"], told["note"]) == ("AIDABOB", "bob", NOTE)
    assert told["postings"] == []
    assert chain_faults("pay_1", trail(cloud)) == []


@pytest.mark.usefixtures("waiting")
def test_a_rejected_refund_fails_and_its_amount_can_be_refunded_again(
    reviews: RefundReviews, cloud: Cloud, store: PaymentStore
) -> None:
    refund, _ = decide(reviews, Review.REJECTED)
    assert refund.failure is not None
    assert (refund.status, refund.failure.code) == (FAILED, "review_rejected")
    assert (amounts(store).refunds_pending, amounts(store).refundable) == (0, 10000)
    assert not cloud.messages()
    assert trail(cloud)[-1]["event_type"] == "refund.failed"
    assert chain_faults("pay_1", trail(cloud)) == []


@pytest.mark.parametrize("by", [ALICE, ALICE_ELSEWHERE, replace(ALICE, name="al")])
@pytest.mark.parametrize("review", [Review.APPROVED, Review.REJECTED])
@pytest.mark.usefixtures("waiting")
def test_who_asked_for_a_refund_does_not_decide_about_it(
    reviews: RefundReviews,
    operation_store: OperationStore,
    cloud: Cloud,
    by: Person,
    review: Review,
) -> None:
    with pytest.raises(OwnRefund):
        decide(reviews, review, by)
    assert stored(operation_store).review is Review.REQUIRED
    assert not cloud.messages()


def test_of_a_refund_that_nobody_signed_anybody_may_decide(
    intake: OperationIntake, reviews: RefundReviews
) -> None:
    intake.refund(asked(submitter=None))
    assert decide(reviews, Review.APPROVED, ALICE)[0].status is PENDING


@pytest.mark.usefixtures("waiting")
def test_another_decision_than_the_first_is_refused(
    reviews: RefundReviews, operation_store: OperationStore
) -> None:
    first, _ = decide(reviews, Review.APPROVED)
    for review, by in ((Review.REJECTED, BOB), (Review.APPROVED, CAROL), (Review.REJECTED, CAROL)):
        with pytest.raises(ReviewDecided):
            decide(reviews, review, by)
    assert stored(operation_store) == first


@pytest.mark.usefixtures("waiting")
def test_the_lost_answer_of_a_decision_is_ones_own(
    reviews: RefundReviews, cloud: Cloud, operation_store: OperationStore
) -> None:
    repeat_committed_writes(cloud)
    refund, is_new = decide(reviews, Review.APPROVED)
    assert is_new
    assert stored(operation_store) == refund


def test_what_waits_for_no_decision_gets_none(
    intake: OperationIntake, reviews: RefundReviews
) -> None:
    with pytest.raises(OperationNotFound):
        decide(reviews, Review.APPROVED)
    with pytest.raises(PaymentNotFound):
        reviews.decide("pay_2", "r1", Review.APPROVED, note=NOTE, by=BOB, request_id="r")
    intake.refund(asked("1.00"))
    with pytest.raises(RefundNotInReview):
        decide(reviews, Review.APPROVED)


@pytest.mark.usefixtures("waiting")
def test_an_approved_refund_whose_message_is_lost_is_found_by_the_sweep(
    reviews: RefundReviews,
    cloud: Cloud,
    performing: Performing,
    workflow: Started,
    operation_store: OperationStore,
    queues: PaymentQueues,
) -> None:
    add_due_index(cloud.dynamodb)
    later = OperationSweep(operation_store, queues, clock=lambda: "2999-01-01T00:00:00.000000Z")
    assert later.look(has_time=lambda: True) == []
    decide(reviews, Review.APPROVED)
    cloud.messages()
    assert [each.operation_id for each in later.look(has_time=lambda: True)] == ["r1"]
    deliver(cloud, performing, workflow)
    assert stored(operation_store).status is COMPLETED


def test_a_review_ends_after_72_hours_and_is_late_after_four(
    store: PaymentStore,
    operation_store: OperationStore,
    queues: PaymentQueues,
    cloud: Cloud,
    reviews: RefundReviews,
) -> None:
    add_due_index(cloud.dynamodb)
    OperationIntake(
        store, operation_store, queues, clock=lambda: "2026-01-01T00:00:00.000000Z", limits=LIMITS
    ).refund(asked())
    ends = []
    for at in ("01T03:59:59", "01T04:00:01", "03T23:59:59", "04T00:00:00"):
        sweep = RefundReviewSweep(
            store,
            operation_store,
            clock=lambda at=at: f"2026-01-{at}.000000Z",  # type: ignore[misc]  # bound now
        )
        late = sweep.end_reviews(WITNESS, has_time=lambda: True)
        ends.append((late, stored(operation_store).status.value))
    assert ends == [(0, "IN_REVIEW"), (1, "IN_REVIEW"), (1, "IN_REVIEW"), (0, "FAILED")]
    failure = stored(operation_store).failure
    assert failure is not None
    assert failure.code == "review_expired"
    assert amounts(store).refundable == 10000
    assert chain_faults("pay_1", trail(cloud)) == []
    with pytest.raises(RefundNotInReview):
        decide(reviews, Review.APPROVED)


@pytest.mark.usefixtures("waiting")
def test_a_trail_that_lacks_the_decision_or_has_ones_own_is_found(
    reviews: RefundReviews, cloud: Cloud
) -> None:
    decide(reviews, Review.APPROVED)

    def faults(**changes: str | None) -> list[str]:
        """Return the faults of the trail if its last record said otherwise, sealed anew."""
        records = trail(cloud)
        told = {**records[-1], **changes}
        records[-1] = {name: value for name, value in told.items() if value is not None}
        records[-1]["hash"] = record_hash(records[-1])
        return chain_faults("pay_1", records)

    assert faults() == []
    [without] = faults(reviewer_id=None, reviewer_name=None)
    assert "passed without a decision" in without
    for own in ({"reviewer_id": ALICE.id}, {"reviewer_name": ALICE.name}):
        [told] = faults(**own)
        assert "who asked for it has decided about it" in told
    [skipped] = [each for each in faults(to="COMPLETED") if "→" in each]
    assert "'IN_REVIEW' → 'COMPLETED'" in skipped


class TestWaitingList:
    """What approvers see."""

    @pytest.fixture
    def waiting_list(
        self, cloud: Cloud, store: PaymentStore, operation_store: OperationStore
    ) -> WaitingList:
        add_open_index(cloud.dynamodb, TABLES.payments)
        add_due_index(cloud.dynamodb)
        return WaitingList(store, operation_store, PaymentLists(cloud.dynamodb, TABLES.payments))

    def test_payments_and_refunds_wait_in_one_list_the_oldest_first(
        self,
        waiting_list: WaitingList,
        store: PaymentStore,
        charging: Charging,
        intake: OperationIntake,
        reviews: RefundReviews,
    ) -> None:
        assert waiting_list.oldest() == ([], False)
        intake.refund(asked())
        large = replace(payment_request("pay_2"), submitter=ALICE, needs_review=True)
        store.create(large, actor="api", at=utc_now())
        charging.charge_by_id("pay_2", WITNESS)
        intake.refund(asked("1.00", "r2"))
        told, has_more = waiting_list.oldest()
        assert [
            (each.payment.payment_id, each.refund and each.refund.operation_id) for each in told
        ] == [
            ("pay_1", "r1"),
            ("pay_2", None),
            ("pay_1", "r2"),
        ]
        assert {each.submitter for each in told} == {ALICE}
        assert not has_more
        decide(reviews, Review.REJECTED)
        assert [each.refund and each.refund.operation_id for each in waiting_list.oldest()[0]] == [
            *(None, "r2")
        ]

    def test_a_long_list_says_that_there_is_more(
        self,
        waiting_list: WaitingList,
        intake: OperationIntake,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("payments.flows.review.MOST_WAITING", 2)
        intake.refund(asked("50.00", "r0"))
        for number in range(3):
            intake.refund(asked("0.01", f"r{number + 1}"))
        told, has_more = waiting_list.oldest()
        assert (len(told), has_more) == (2, True)
        assert told[0].refund is not None
        assert told[0].refund.operation_id == "r1"
