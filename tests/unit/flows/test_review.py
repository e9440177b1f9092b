"""Four eyes: a large payment waits for another person than the one who submitted it."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from payments.aws.items import deserialize
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.core.audit import chain_faults
from payments.core.faults import PaymentNotFound, StaleTransition
from payments.core.messages import PaymentMessage, decode_message
from payments.core.payment import Payment
from payments.core.review import (
    Decision,
    NotInReview,
    OwnPayment,
    Person,
    Review,
    ReviewDecided,
    ReviewLimits,
)
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery
from payments.flows.intake import PaymentIntake
from payments.flows.review import Reviews
from payments.flows.sweep import PaymentSweep
from tests.unit.cloud import (
    BATCH_ID,
    TABLES,
    WITNESS,
    Cloud,
    ScriptedGateway,
    Started,
    add_open_index,
    payment_request,
    repeat_committed_writes,
    statuses,
)

LIMITS = ReviewLimits.read("USD=50.00,JPY=5000")
ALICE = Person.of("AROAPAYER:alice@example.com")
ALICE_ELSEWHERE = Person.of("AROAAPPROVER:Alice@example.com")
ALICE_AS_USER = Person.of("AIDAALICE", "arn:aws:iam::123456789012:user/alice@example.com")
BOB = Person.of("AIDABOB", "arn:aws:iam::123456789012:user/bob")
CAROL = Person.of("AIDACAROL", "arn:aws:iam::123456789012:user/carol")
NOTE = "agreed with the supplier"


@pytest.fixture
def gateway() -> ScriptedGateway:
    """A processor that approves, and notes what it is asked."""
    return ScriptedGateway()


@pytest.fixture
def charging(store: PaymentStore, gateway: ScriptedGateway) -> Charging:
    """The rules of charging on that processor."""
    return Charging(store, gateway)


@pytest.fixture
def delivery(store: PaymentStore, charging: Charging, workflow: Started) -> Delivery:
    """The rules for a message, with limits."""
    return Delivery(store, charging, workflow, limits=LIMITS)


@pytest.fixture
def intake(store: PaymentStore, queues: PaymentQueues) -> PaymentIntake:
    """The service behind the API, with limits."""
    return PaymentIntake(store, queues, limits=LIMITS)


@pytest.fixture
def reviews(store: PaymentStore, queues: PaymentQueues) -> Reviews:
    """Who takes decisions."""
    return Reviews(store, queues)


def deliver(cloud: Cloud, delivery: Delivery) -> None:
    for message in cloud.messages():
        decoded = decode_message(message["Body"])
        assert isinstance(decoded, PaymentMessage)
        delivery.deliver(decoded, WITNESS, is_first=True)


def request(amount_minor: int = 5001, submitter: Person | None = ALICE, **more: Any) -> Any:
    return replace(payment_request(amount_minor=amount_minor, **more), submitter=submitter)


@pytest.fixture
def waiting(intake: PaymentIntake, cloud: Cloud, delivery: Delivery) -> str:
    """The id of a payment of Alice's that waits for a decision."""
    intake.submit(request())
    deliver(cloud, delivery)
    return "pay_1"


def stored(store: PaymentStore) -> Payment:
    payment = store.get("pay_1")
    assert payment is not None
    return payment


def trail(cloud: Cloud) -> list[dict[str, Any]]:
    records = map(deserialize, cloud.items(TABLES.audit_logs))
    return sorted(records, key=lambda record: record["sequence"])


def decide(reviews: Reviews, review: Review, by: Person = BOB) -> tuple[Payment, bool]:
    return reviews.decide("pay_1", review, note=NOTE, by=by, request_id="request-9")


@pytest.mark.usefixtures("waiting")
def test_a_payment_above_the_limit_waits_and_nobody_is_charged(
    store: PaymentStore, gateway: ScriptedGateway, cloud: Cloud, workflow: Started
) -> None:
    assert statuses(store) == ["PENDING", "IN_REVIEW"]
    assert gateway.calls == []
    assert not cloud.messages()
    assert not workflow.started
    assert trail(cloud)[1]["event_type"] == "payment.in_review"


@pytest.mark.parametrize(("amount", "currency"), [(5000, "USD"), (9_999_999, "EUR"), (5000, "JPY")])
def test_a_payment_up_to_the_limit_or_without_one_is_charged(
    intake: PaymentIntake,
    cloud: Cloud,
    delivery: Delivery,
    store: PaymentStore,
    amount: int,
    currency: str,
) -> None:
    intake.submit(request(amount, currency=currency))
    deliver(cloud, delivery)
    assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]


def test_the_limit_counts_when_the_payment_is_accepted(
    intake: PaymentIntake, cloud: Cloud, store: PaymentStore, charging: Charging, workflow: Started
) -> None:
    intake.submit(request())
    deliver(cloud, Delivery(store, charging, workflow))
    assert statuses(store) == ["PENDING", "IN_REVIEW"]


@pytest.mark.usefixtures("waiting")
def test_an_approved_payment_is_charged_once_with_the_decision_in_its_trail(
    reviews: Reviews,
    cloud: Cloud,
    delivery: Delivery,
    store: PaymentStore,
    gateway: ScriptedGateway,
) -> None:
    _, is_new = decide(reviews, Review.APPROVED)
    assert is_new
    deliver(cloud, delivery)
    deliver(cloud, delivery)
    assert statuses(store) == ["PENDING", "IN_REVIEW", "PROCESSING", "COMPLETED"]
    assert gateway.calls == ["prepare", "charge"]
    records = trail(cloud)
    assert [record["kind"] for record in records] == [
        *("payment", "payment", "review", "payment", "payment")
    ]
    told = records[2]
    assert (told["to"], told["reviewer_id"], told["reviewer_name"], told["note"]) == (
        *("approved", "AIDABOB", "bob"),
        NOTE,
    )
    assert chain_faults("pay_1", records) == []


@pytest.mark.usefixtures("waiting")
def test_a_rejected_payment_fails_and_is_never_charged(
    reviews: Reviews,
    cloud: Cloud,
    delivery: Delivery,
    store: PaymentStore,
    gateway: ScriptedGateway,
) -> None:
    decide(reviews, Review.REJECTED)
    deliver(cloud, delivery)
    payment = stored(store)
    assert payment.failure is not None
    assert (payment.status, payment.failure.code) == ("FAILED", "review_rejected")
    assert gateway.calls == []
    assert chain_faults("pay_1", trail(cloud)) == []


@pytest.mark.parametrize("by", [ALICE, ALICE_ELSEWHERE, ALICE_AS_USER])
@pytest.mark.parametrize("review", [Review.APPROVED, Review.REJECTED])
@pytest.mark.usefixtures("waiting")
def test_who_submitted_a_payment_does_not_decide_about_it(
    reviews: Reviews, store: PaymentStore, cloud: Cloud, by: Person, review: Review
) -> None:
    with pytest.raises(OwnPayment):
        decide(reviews, review, by)
    assert stored(store).review is Review.REQUIRED
    assert not cloud.messages()


def test_the_uploader_of_a_file_does_not_decide_about_its_rows(
    delivery: Delivery, reviews: Reviews, store: PaymentStore, cloud: Cloud
) -> None:
    uploader = Person.of("AIDABOB")
    row = request(submitter=uploader, source=f"batch:{BATCH_ID}:2")
    delivery.deliver(PaymentMessage(row), WITNESS, is_first=True)
    assert statuses(store) == ["PENDING", "IN_REVIEW"]
    with pytest.raises(OwnPayment):
        decide(reviews, Review.APPROVED, BOB)
    decide(reviews, Review.APPROVED, CAROL)
    deliver(cloud, delivery)
    assert stored(store).status == "COMPLETED"


@pytest.mark.usefixtures("waiting")
def test_the_same_decision_again_is_the_same_and_another_is_refused(
    reviews: Reviews, store: PaymentStore
) -> None:
    first, _ = decide(reviews, Review.APPROVED)
    assert decide(reviews, Review.APPROVED) == (first, False)
    for review, by in ((Review.REJECTED, BOB), (Review.APPROVED, CAROL), (Review.REJECTED, CAROL)):
        with pytest.raises(ReviewDecided):
            decide(reviews, review, by)
    assert stored(store) == first


@pytest.mark.usefixtures("waiting")
def test_one_of_two_decisions_at_the_same_moment_stands(store: PaymentStore) -> None:
    seen = stored(store)
    decisions = [
        Decision(review, by, NOTE, "2026-01-01T00:00:00Z", "request-9")
        for review, by in ((Review.APPROVED, BOB), (Review.REJECTED, CAROL))
    ]
    store.decide(seen, decisions[0])
    with pytest.raises(StaleTransition):
        store.decide(seen, decisions[1])


@pytest.mark.usefixtures("waiting")
def test_the_lost_answer_of_a_decision_is_ones_own(
    reviews: Reviews, cloud: Cloud, store: PaymentStore
) -> None:
    repeat_committed_writes(cloud)
    _, is_new = decide(reviews, Review.APPROVED)
    assert is_new
    assert stored(store).review is Review.APPROVED


def test_what_waits_for_no_decision_gets_none(
    intake: PaymentIntake, reviews: Reviews, cloud: Cloud, delivery: Delivery
) -> None:
    with pytest.raises(PaymentNotFound):
        decide(reviews, Review.APPROVED)
    intake.submit(request(100))
    with pytest.raises(NotInReview):
        decide(reviews, Review.APPROVED)
    deliver(cloud, delivery)
    with pytest.raises(NotInReview):
        decide(reviews, Review.REJECTED)


@pytest.mark.usefixtures("waiting")
def test_a_decided_payment_whose_message_is_lost_is_found_by_the_sweep(
    reviews: Reviews,
    cloud: Cloud,
    delivery: Delivery,
    store: PaymentStore,
    queues: PaymentQueues,
) -> None:
    add_open_index(cloud.dynamodb, TABLES.payments)
    later = PaymentSweep(store, queues, clock=lambda: "2999-01-01T00:00:00.000000Z")
    assert later.look(has_time=lambda: True).stuck == []
    decide(reviews, Review.APPROVED)
    cloud.messages()
    found = later.look(has_time=lambda: True)
    later.put_back(found)
    deliver(cloud, delivery)
    assert stored(store).status == "COMPLETED"


def test_a_review_ends_after_72_hours_and_is_late_after_four(
    store: PaymentStore, charging: Charging, queues: PaymentQueues, cloud: Cloud, reviews: Reviews
) -> None:
    add_open_index(cloud.dynamodb, TABLES.payments)
    accepted = "2026-01-01T00:00:00.000000Z"
    store.create(replace(request(), needs_review=True), actor="api", at=accepted)
    charging.charge_by_id("pay_1", WITNESS)
    ends = []
    for at in ("01T03:59:59", "01T04:00:01", "03T23:59:59", "04T00:00:00"):
        sweep = PaymentSweep(store, queues, clock=lambda at=at: f"2026-01-{at}.000000Z")  # type: ignore[misc]  # bound now
        late = sweep.end_reviews(WITNESS, has_time=lambda: True)
        ends.append((late, stored(store).status.value))
    assert ends == [(0, "IN_REVIEW"), (1, "IN_REVIEW"), (1, "IN_REVIEW"), (0, "FAILED")]
    failure = stored(store).failure
    assert failure is not None
    assert failure.code == "review_expired"
    with pytest.raises(NotInReview):
        decide(reviews, Review.APPROVED)


@pytest.mark.usefixtures("waiting")
def test_a_workflow_does_not_settle_what_waits_for_a_decision(
    charging: Charging, store: PaymentStore, gateway: ScriptedGateway
) -> None:
    charging.settle("pay_1", WITNESS)
    charging.charge_by_id("pay_1", WITNESS)
    assert stored(store).status == "IN_REVIEW"
    assert gateway.calls == []


@pytest.mark.usefixtures("waiting")
def test_a_trail_that_lacks_the_decision_or_has_ones_own_is_found(
    reviews: Reviews, cloud: Cloud, delivery: Delivery
) -> None:
    decide(reviews, Review.APPROVED)
    deliver(cloud, delivery)
    records = trail(cloud)
    without = [record for record in records if record["kind"] != "review"]
    assert any("without a decision" in fault for fault in chain_faults("pay_1", without))
    own = [
        {**record, "reviewer_name": ALICE.name} if record["kind"] == "review" else record
        for record in records
    ]
    assert any("has decided about it" in fault for fault in chain_faults("pay_1", own))


def test_people_are_the_same_by_id_or_by_name() -> None:
    same = {ALICE, ALICE_ELSEWHERE, ALICE_AS_USER}
    for one, other in itertools.product({*same, BOB, CAROL}, repeat=2):
        assert one.is_same_as(other) is (one == other or {one, other} <= same)


@pytest.mark.parametrize("text", ["USD", "USD=1.001", "XXX=1", "USD=-1", "usd=1", "USD=1,,EUR=x"])
def test_limits_that_cannot_be_read_let_nothing_pass(text: str) -> None:
    with pytest.raises(ValueError, match="REVIEW_ABOVE"):
        ReviewLimits.read(text)
