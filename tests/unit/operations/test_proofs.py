"""The proof of the books: what the records tell is what is stored, and each planted fault is named."""

import ast
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.proofs import _OPTIONS, _STEPS, SUMS, Books, Examined, Unit, _Step, examine, hash_of
from payments.aws.operations import _operation_item
from payments.aws.payments import payment_item
from payments.core.amounts import Amounts
from payments.core.audit import record_hash
from payments.core.content import Content
from payments.core.fields import OPTIONAL_FIELDS
from payments.core.money import to_decimal_text
from payments.core.operation import STEPS, Operation, OperationKind, OperationStatus, Step
from payments.core.payment import Failure, PaymentRequest, PaymentStatus
from payments.core.postings import postings_of
from payments.core.review import Decision, Person, Review
from tests.unit.cloud import AT, payment_request
from tests.unit.trails import REFUND, Trail, authorized, completed

OPERATIONS = Path(__file__).parents[3] / "operations"
DONE, REFUSED = OperationStatus.COMPLETED, OperationStatus.FAILED
USD = Unit("USD", 2)
INDEXED = {"payment_id", "time_shard"}
"""Where a payment stands: what is changed there is another payment, or in another place."""

type Records = list[dict[str, Any]]


def examined(trail: Trail, records: Records | None = None) -> Examined:
    """Examine a payment that is stored as its trail leaves it, against these records."""
    return examine(
        payment_item(trail.payment),
        trail.records if records is None else records,
        [_operation_item(operation) for operation in trail.operations.values()],
    )


def told(*all_examined: Examined) -> list[str]:
    """Return every fault: of payments, and of the sums of all of them."""
    books, faults = Books(), list[str]()
    for each in all_examined:
        books.add(each)
        faults.extend(map(str, each.faults))
    totals = (total for total in books.totals() if not total.holds)
    return [*faults, *(f"{total.unit.currency}: {total.name}" for total in totals)]


def sealed_anew(records: Records) -> Records:
    """Return the records with hashes and chain as if they had been written so."""
    previous = records[0]["previous_hash"]
    for record in records:
        record["previous_hash"] = previous
        record["hash"] = previous = record_hash(record)
    return records


def planted(trail: Trail, plant: Callable[[Records], object]) -> list[str]:
    """Return what is told of a trail whose code wrote something else into its records."""
    records = deepcopy(trail.records)
    plant(records)
    sealed_anew(records)
    trail.payment = replace(trail.payment, audit_hash=records[-1]["hash"])
    return told(examined(trail, records))


def a_long_story() -> Trail:
    """Return a trail in which everything happens that moves money; one refund is open."""
    trail = authorized()
    trail.capture("c1", 1000, REFUSED)
    trail.capture("c2", 6000, DONE)
    trail.move(PaymentStatus.COMPLETED)
    trail.refund("r1", 1000, DONE, REFUSED)
    trail.refund("r2", 2000, REFUSED)
    trail.refund("r3", 3000, DONE)
    trail.refund("r4", 500)
    return trail


def canceled() -> Trail:
    trail = authorized()
    trail.cancel(DONE)
    trail.move(PaymentStatus.CANCELED)
    return trail


def declined() -> Trail:
    trail = Trail(PaymentStatus.PROCESSING)
    trail.move(PaymentStatus.FAILED, failure=Failure("card_declined", "No."))
    return trail


def with_options() -> Trail:
    content = Content("pay_1", 9999, "USD", 2, "cus_1", "pm_1", "manual")
    trail = Trail(request=PaymentRequest(content, "api", "request-1"))
    trail.move(PaymentStatus.PROCESSING, gateway_reference="ref")
    return trail


def in_review() -> Trail:
    content = Content("pay_1", 9999, "USD", 2)
    alice = Person("AIDAALICE", "alice")
    trail = Trail(request=PaymentRequest(content, "api", "request-1", alice, needs_review=True))
    trail.move(PaymentStatus.IN_REVIEW)
    return trail


def approved() -> Trail:
    trail = in_review()
    trail.decide(Review.APPROVED, Person("AIDABOB", "bob"))
    trail.move(PaymentStatus.PROCESSING, gateway_reference="ref")
    trail.move(PaymentStatus.COMPLETED)
    return trail


def refund_in_review(*statuses: OperationStatus) -> Trail:
    """Return a trail with a refund of Alice's that Bob has decided about, if it goes on."""
    alice, bob = Person("AIDAALICE", "alice"), Person("AIDABOB", "bob")
    trail = completed()
    request = replace(REFUND, submitter=alice)
    refund = Operation.requested(request, amount_minor=100, rest_minor=0, at=AT, needs_review=True)
    refund = trail.step(refund, OperationStatus.IN_REVIEW, before=None)
    for status in statuses:
        told: dict[str, Any] = {}
        if refund.status is OperationStatus.IN_REVIEW:
            review = Review.REJECTED if status is REFUSED else Review.APPROVED
            told["decision"] = Decision(review, bob, "seen", AT, "request-9")
        if status is REFUSED:
            told["failure"] = Failure("review_rejected", "No.")
        refund = trail.step(refund, status, before=refund.status, **told)
    return trail


STORIES: dict[str, Callable[[], Trail]] = {
    "accepted": Trail,
    "declined": declined,
    "completed": completed,
    "authorized": authorized,
    "canceled": canceled,
    "captured and refunded": a_long_story,
    "with options": with_options,
    "in review": in_review,
    "approved": approved,
    "refund in review": refund_in_review,
    "refund approved": lambda: refund_in_review(OperationStatus.PENDING, DONE),
    "refund rejected": lambda: refund_in_review(REFUSED),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_what_is_stored_is_what_the_records_tell(story: Callable[[], Trail]) -> None:
    assert told(examined(story())) == []


def test_the_sums_of_all_payments_are_those_of_the_books() -> None:
    books = Books()
    for story in STORIES.values():
        books.add(examined(story()))
    assert {total.name: (total.books, total.tables) for total in books.totals()} == {
        "debits = credits": (5 * 9999 + 6000 + 3 * 1000 + 2 * 2000 + 2 * 3000 + 500 + 5 * 100,) * 2,
        "processor = captured - refunded": (5 * 9999 + 6000 - 3100,) * 2,
        "client = refunded + pending - captured": (3100 + 600 - 5 * 9999 - 6000,) * 2,
        "refunds_pending = open refunds": (-600,) * 2,
    }


def test_a_row_ends_once_whatever_follows() -> None:
    held = Trail(request=payment_request(source="batch:paid:2"))
    held.move(PaymentStatus.PROCESSING, gateway_reference="ref")
    held.move(PaymentStatus.AUTHORIZED, capture_before=AT)
    held.capture("c1", 9999, DONE)
    held.move(PaymentStatus.COMPLETED)
    held.refund("r1", 100, DONE, REFUSED, source="batch:refunded:2")
    held.refund("r2", 100, REFUSED, source="batch:refunded:3")
    held.refund("r3", 100, source="batch:refunded:4")
    held.refund("r4", 100, DONE)
    books = Books()
    books.add(examined(held))
    assert told(examined(held)) == []
    assert books.outcomes == {
        "paid": {"authorized": 1},
        "refunded": {"completed": 1, "failed": 1},
    }


ALL_STEPS = [(kind, step) for kind, steps in STEPS.items() for step in steps]
EVERYWHERE = Amounts(
    authorized=1800,
    captured=900,
    captures_pending=300,
    capturable=300,
    releases_pending=300,
    refunded=300,
    refunds_pending=300,
    refundable=300,
)


@pytest.mark.parametrize(("kind", "step"), ALL_STEPS)
def test_each_step_of_an_operation_moves_and_posts_what_the_functions_do(
    kind: OperationKind, step: Step
) -> None:
    amount, rest = 20, 10 if kind is OperationKind.CAPTURE else 0
    after = STEPS[kind][step](EVERYWHERE, amount, rest)
    moved = {
        name: getattr(after, name) - getattr(EVERYWHERE, name)
        for name in SUMS
        if getattr(after, name) != getattr(EVERYWHERE, name)
    }
    name = (kind.value, step[0] and step[0].value, step[1].value)
    mine = _STEPS.get(name, _Step())
    sums = Counter({each: sign * amount for each, sign in mine.amount.items()})
    sums.update({each: sign * rest for each, sign in mine.rest.items()})
    assert {each: value for each, value in sums.items() if value} == moved
    posted = [(each.debit.value, each.credit.value) for each in postings_of(*name, amount)]
    assert posted == ([(mine.debit, mine.credit)] if mine.debit else [])


def test_currencies_are_summed_apart() -> None:
    yen = Trail(
        PaymentStatus.PROCESSING,
        PaymentStatus.COMPLETED,
        request=payment_request("pay_2", 500, "JPY"),
    )
    books = Books()
    for trail in (completed(), yen):
        books.add(examined(trail))
    assert [(each.unit, each.account, each.minor) for each in books.accounts] == [
        (Unit("JPY", 0), "client", -500),
        (Unit("JPY", 0), "processor", 500),
        (USD, "client", -9999),
        (USD, "processor", 9999),
    ]


# --- planted: what writes has a fault, and seals it


def left_out(records: Records) -> None:
    records[2]["postings"] = []


def not_written(records: Records) -> None:
    del records[2]["postings"]


def twice(records: Records) -> None:
    records[2]["postings"] *= 2


def swapped(records: Records) -> None:
    records[2]["postings"][0].update(debit="client", credit="processor")


def another_amount(records: Records) -> None:
    records[2]["postings"][0].update(amount_minor=9998)


def another_account(records: Records) -> None:
    records[2]["postings"][0].update(credit="suspense")


def out_of_nothing(records: Records) -> None:
    records[1]["postings"] = records[2]["postings"]


CHARGE = "99.99 USD from client to processor"


@pytest.mark.parametrize(
    ("plant", "what"),
    [
        (left_out, f"record 3 posts nothing, not {CHARGE}"),
        (not_written, f"record 3 posts nothing, not {CHARGE}"),
        (twice, f"record 3 posts {CHARGE} and {CHARGE}, not {CHARGE}"),
        (swapped, f"record 3 posts 99.99 USD from processor to client, not {CHARGE}"),
        (another_amount, f"record 3 posts 99.98 USD from client to processor, not {CHARGE}"),
        (another_account, f"record 3 posts 99.99 USD from suspense to processor, not {CHARGE}"),
        (out_of_nothing, f"record 2 posts {CHARGE}, not nothing"),
    ],
)
def test_a_fault_in_the_postings_is_named_with_its_payment_and_breaks_a_sum(
    plant: Callable[[Records], None], what: str
) -> None:
    first, *sums = planted(completed(), plant)
    assert first == f"pay_1: {what}"
    assert any("client = refunded + pending - captured" in each for each in sums)


@pytest.mark.parametrize("place", range(len(a_long_story().records)))
@pytest.mark.parametrize("fault", ["left out", "twice", "swapped"])
def test_a_fault_in_the_postings_of_any_step_is_named(place: int, fault: str) -> None:
    right = a_long_story().records[place]["postings"]
    wrong: Records = []
    if not right:
        wrong = [{"debit": "processor", "credit": "client", "amount_minor": 1}]
    elif fault == "twice":
        wrong = right * 2
    elif fault == "swapped":
        wrong = [right[0] | {"debit": right[0]["credit"], "credit": right[0]["debit"]}]
    first, *sums = planted(a_long_story(), lambda records: records[place].update(postings=wrong))
    assert first.startswith(f"pay_1: record {place + 1} posts ")
    assert sums


def test_a_late_failure_that_is_ignored_is_found_in_the_payment_and_in_the_operation() -> None:
    trail = a_long_story()
    # What returned r1 wrote its record, and neither payment nor operation.
    before_return = authorized()
    before_return.capture("c1", 1000, REFUSED)
    before_return.capture("c2", 6000, DONE)
    before_return.move(PaymentStatus.COMPLETED)
    before_return.refund("r1", 1000, DONE)
    returned = next(
        number
        for number, record in enumerate(trail.records)
        if (record.get("from"), record["to"], record["kind"]) == ("COMPLETED", "FAILED", "refund")
    )
    faults = told(examined(before_return, trail.records[: returned + 1]))
    assert "pay_1: refunded_minor is 1000, its records say 0" in faults
    assert "pay_1: refund#r1: status is 'COMPLETED', its records say 'FAILED'" in faults
    assert "USD: processor = captured - refunded" in faults


def test_a_late_failure_without_a_record_is_found() -> None:
    trail = completed()
    trail.refund("r1", 1000, DONE)
    [(name, operation)] = trail.operations.items()
    trail.operations[name] = replace(operation, status=REFUSED)
    assert told(examined(trail)) == [
        "pay_1: refund#r1: status is 'FAILED', its records say 'COMPLETED'"
    ]


def test_a_refund_beyond_what_was_captured_is_named() -> None:
    trail = completed()
    trail.refund("r1", 6000, DONE)
    records = deepcopy(trail.records)
    for record in deepcopy(records[-2:]):
        records.append(record | {"sequence": record["sequence"] + 2, "operation_id": "r2"})
    sealed_anew(records)
    faults = told(examined(trail, records))
    assert any("moves more than there is" in fault for fault in faults)


def test_an_operation_that_no_record_tells_of_is_named() -> None:
    trail = completed()
    trail.refund("r1", 100)
    faults = told(examined(trail, trail.records[:3]))
    assert "pay_1: refund#r1: is stored and no record tells of it" in faults


def test_an_operation_that_is_not_stored_is_named() -> None:
    trail = completed()
    trail.refund("r1", 100)
    trail.operations.clear()
    assert told(examined(trail)) == [
        "pay_1: refund#r1: is told of and not stored",
        "USD: client = refunded + pending - captured",
        "USD: refunds_pending = open refunds",
    ]


@pytest.mark.parametrize("name", sorted(payment_item(a_long_story().payment).keys() - INDEXED))
def test_a_change_to_any_attribute_of_a_payment_is_named(name: str) -> None:
    trail = a_long_story()
    item = payment_item(trail.payment)
    operations = [_operation_item(each) for each in trail.operations.values()]
    for changed in ({**item, name: "another"}, {key: item[key] for key in item if key != name}):
        faults = [str(fault) for fault in examine(changed, trail.records, operations).faults]
        assert any(f"{name} is" in fault for fault in faults)


@pytest.mark.parametrize("value", [None, 1.5, "x", b"x", ["x"], {"x": "x"}])
@pytest.mark.parametrize("name", sorted(a_long_story().records[-1]))
def test_a_damaged_record_is_a_fault_and_no_crash(name: str, value: object) -> None:
    trail = a_long_story()
    records = deepcopy(trail.records)
    records[-1][name] = value
    assert told(examined(trail, records))
    del records[-1][name]
    assert told(examined(trail, records))


def test_a_kind_that_a_later_release_writes_is_said_to_be_unknown() -> None:
    trail = completed()
    faults = planted(trail, lambda records: records[-1].update(kind="dispute"))
    assert "pay_1: record 3 is of kind 'dispute', which this release does not know" in faults


# --- records from before there were postings


def test_a_charge_from_before_there_were_postings_is_counted() -> None:
    trail = completed()

    def before(records: Records) -> None:
        for record in records:
            del record["postings"]

    assert planted(trail, before) == []
    records = deepcopy(trail.records)
    before(records)
    books = Books()
    books.add(examined(trail, sealed_anew(records)))
    assert books.opening == 1
    assert books.accounts.balance(USD, "processor").minor == 9999


def test_a_payment_from_before_it_had_sums_is_right_without_them() -> None:
    trail = completed()
    records = deepcopy(trail.records)
    for record in records:
        del record["postings"]
    sealed_anew(records)
    item = payment_item(replace(trail.payment, audit_hash=records[-1]["hash"]))
    old = {
        name: value for name, value in item.items() if name in records[0] or "_minor" not in name
    }
    assert "captured_minor" not in old
    result = examine(old, records, [])
    assert told(result) == []


# --- alone


@pytest.mark.parametrize("part", ["proofs", "proving", "ledger", "export"])
def test_the_proof_shares_no_code_with_what_writes(part: str) -> None:
    tree = ast.parse((OPERATIONS / f"{part}.py").read_text())
    imported = {
        name
        for node in ast.walk(tree)
        for name in _names(node)
        if name.partition(".")[0] not in {"collections", "dataclasses", "datetime", "typing"}
    }
    ours = {name for name in imported if name.startswith(("operations", "payments", "lib"))}
    assert ours <= {
        *(f"operations.{each}" for each in ("items", "ledger", "proofs")),
    }


def _names(node: ast.AST) -> Iterable[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
    return []


@given(st.integers(min_value=0, max_value=10**18 - 1), st.integers(min_value=0, max_value=4))
def test_amounts_are_written_as_everywhere(amount: int, exponent: int) -> None:
    assert Unit("XXX", exponent).text(amount) == to_decimal_text(amount, exponent)
    if amount:
        assert Unit("XXX", exponent).text(-amount) == f"-{to_decimal_text(amount, exponent)}"


def test_hashes_are_computed_as_they_are_written() -> None:
    for record in a_long_story().records:
        assert hash_of(record) == record["hash"]


def test_every_optional_field_is_among_what_a_payment_keeps() -> None:
    assert set(OPTIONAL_FIELDS) <= set(_OPTIONS)
