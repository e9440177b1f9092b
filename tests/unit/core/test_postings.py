"""Postings: what moves money posts it, once and the right way round, and every record stays small."""

from collections.abc import Callable

import pytest

from payments.core.audit import (
    AuditRecord,
    acceptance_record,
    chain_faults,
    is_unposted,
    record_hash,
)
from payments.core.operation import OperationStatus
from payments.core.payment import PaymentStatus
from payments.core.postings import Account
from tests.unit.cloud import AT, payment_request
from tests.unit.trails import Trail, authorized, completed

PROCESSING, COMPLETED, FAILED = (
    PaymentStatus.PROCESSING,
    PaymentStatus.COMPLETED,
    PaymentStatus.FAILED,
)
DONE, REFUSED = OperationStatus.COMPLETED, OperationStatus.FAILED
CAPTURED = {"debit": "processor", "credit": "client", "amount_minor": 9999}


def posted(trail: Trail) -> list[str]:
    """Return what each record posts, in words."""
    return [
        " and ".join(
            f"{each['amount_minor']} {each['credit']} > {each['debit']}"
            for each in record["postings"]
        )
        for record in trail.records
    ]


def sealed_anew(trail: list[AuditRecord]) -> list[AuditRecord]:
    """Return the records with hashes and chain as if they had been written so."""
    previous = trail[0]["previous_hash"]
    for record in trail:
        record["previous_hash"] = previous
        record["hash"] = previous = record_hash(record)
    return trail


def test_a_charge_moves_the_amount_from_the_client_to_the_processor() -> None:
    assert posted(completed()) == ["", "", "9999 client > processor"]


def test_a_payment_that_fails_moves_nothing() -> None:
    assert posted(Trail(PROCESSING, FAILED)) == ["", "", ""]


def test_an_authorisation_moves_nothing_and_its_capture_what_is_captured() -> None:
    trail = authorized()
    trail.capture("c1", 6000, DONE)
    trail.move(COMPLETED)
    assert posted(trail) == ["", "", "", "", "6000 client > processor", ""]


def test_a_capture_that_fails_and_a_cancellation_move_nothing() -> None:
    trail = authorized()
    trail.capture("c1", 6000, REFUSED)
    trail.cancel(DONE)
    trail.move(PaymentStatus.CANCELED)
    assert not any(posted(trail))


def test_a_refund_is_pending_before_it_is_back_at_the_customer() -> None:
    trail = completed()
    trail.refund("r1", 4000, DONE)
    assert posted(trail)[3:] == [
        "4000 refunds_pending > client",
        "4000 processor > refunds_pending",
    ]


def test_a_refund_that_fails_gives_back_to_the_client() -> None:
    trail = completed()
    trail.refund("r1", 4000, REFUSED)
    assert posted(trail)[3:] == ["4000 refunds_pending > client", "4000 client > refunds_pending"]


def test_a_refund_that_is_taken_back_leaves_the_money_at_the_processor() -> None:
    trail = completed()
    trail.refund("r1", 4000, DONE, REFUSED)
    assert posted(trail)[5:] == ["4000 client > processor"]


def a_long_story() -> Trail:
    """Return a trail in which everything happens that moves money."""
    trail = authorized()
    trail.capture("c1", 6000, DONE)
    trail.move(COMPLETED)
    trail.refund("r1", 1000, DONE, REFUSED)
    trail.refund("r2", 2000, REFUSED)
    trail.refund("r3", 3000, DONE)
    return trail


def test_every_account_is_in_the_chart_and_comes_to_what_the_payment_says() -> None:
    trail = a_long_story()
    balances = dict.fromkeys(Account, 0)
    for record in trail.records:
        for posting in record["postings"]:
            balances[Account(posting["debit"])] += posting["amount_minor"]
            balances[Account(posting["credit"])] -= posting["amount_minor"]
    amounts = trail.payment.amounts
    assert balances == {
        Account.PROCESSOR: amounts.captured - amounts.refunded,
        Account.CLIENT: amounts.refunded + amounts.refunds_pending - amounts.captured,
        Account.REFUNDS_PENDING: -amounts.refunds_pending,
    }
    assert balances[Account.PROCESSOR] == 3000


@pytest.mark.parametrize("trail", [completed, a_long_story, lambda: Trail(PROCESSING, FAILED)])
def test_a_trail_with_its_postings_is_whole(trail: Callable[[], Trail]) -> None:
    assert trail().faults == []


@pytest.mark.parametrize(
    "postings",
    [
        None,
        [],
        [CAPTURED, CAPTURED],
        [{**CAPTURED, "debit": "client", "credit": "processor"}],
        [{**CAPTURED, "amount_minor": 9998}],
        [{**CAPTURED, "credit": "suspense"}],
        [{**CAPTURED, "currency": "EUR"}],
        CAPTURED,
        9999,
    ],
    ids=[
        "left out",
        "empty",
        "twice",
        "swapped",
        "another amount",
        "no account of ours",
        "another currency",
        "no list",
        "no posting",
    ],
)
def test_a_record_that_posts_anything_else_is_a_fault_though_it_is_sealed(postings: object) -> None:
    trail = completed().records
    trail[2]["postings"] = postings
    if postings is None:
        del trail[2]["postings"]
    [fault] = chain_faults("pay_1", sealed_anew(trail))
    assert fault.startswith("pay_1 record 3: posts ")


@pytest.mark.parametrize("place", range(len(a_long_story().records)))
@pytest.mark.parametrize("fault", ["left out", "twice", "swapped"])
def test_a_fault_in_the_postings_of_any_step_is_found(place: int, fault: str) -> None:
    trail = a_long_story().records
    right = trail[place]["postings"]
    if not right:
        trail[place]["postings"] = [CAPTURED]
    elif fault == "left out":
        trail[place]["postings"] = []
    elif fault == "twice":
        trail[place]["postings"] = right * 2
    else:
        swapped = {"debit": right[0]["credit"], "credit": right[0]["debit"]}
        trail[place]["postings"] = [right[0] | swapped]
    [found] = chain_faults("pay_1", sealed_anew(trail))
    assert found.startswith(f"pay_1 record {place + 1}: posts ")


def before_postings(trail: list[AuditRecord], upgraded_at: int) -> list[AuditRecord]:
    """Return a trail whose records before a place were written before there were postings."""
    for record in trail[:upgraded_at]:
        del record["postings"]
    return sealed_anew(trail)


@pytest.mark.parametrize("upgraded_at", [1, 2, 3])
def test_records_from_before_there_were_postings_are_whole(upgraded_at: int) -> None:
    trail = before_postings(completed().records, upgraded_at)
    assert chain_faults("pay_1", trail) == []
    assert any(map(is_unposted, trail)) is (upgraded_at == 3)


OLD_HASH = "661b5948e6c4196caeb707c5c90c97b88509a8fee7fb99942e4368e77350fe12"
"""Of the record below, as it was written before there were postings."""


def test_the_hash_of_a_record_from_before_there_were_postings_holds() -> None:
    record = acceptance_record(payment_request(), actor="api", at=AT)
    del record["postings"]
    assert record_hash(record) == OLD_HASH
