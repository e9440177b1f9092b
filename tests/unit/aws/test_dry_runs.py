"""Dry runs ask and remember what they must, also while DynamoDB does not do its part."""

from collections.abc import Callable
from typing import Any

import pytest

from payments.aws.dry_runs import DryRunStore
from payments.aws.payments import PaymentStore
from payments.batches.progress import IdHolder, NotPaidRow
from payments.batches.records import ValidRow
from payments.core.faults import ServiceUnavailable
from tests.unit.cloud import AT, BATCH_ID, TABLES, Cloud, payment_content, payment_request

ROWS = [ValidRow(line, payment_content(f"pay_{line}", 100, "USD")) for line in range(2, 102)]


def _refusing(call: Callable[..., Any], cloud: Cloud, codes: list[str | None], times: int) -> Any:
    """Return a call that is cancelled for these reasons so many times, and then goes through."""
    left = [times]

    def refused(**arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            reasons = [{"Code": code or "None"} for code in codes]
            answer: Any = {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": reasons,
            }
            raise cloud.dynamodb.exceptions.TransactionCanceledException(answer, "TransactWrite")
        return call(**arguments)

    return refused


def test_the_first_row_with_an_id_has_it_for_the_whole_batch(dry_runs: DryRunStore) -> None:
    first, second = ROWS[0], ValidRow(500, payment_content("pay_2", 5, "EUR"))
    holder = IdHolder(2, first.content.hash)
    assert dry_runs.claim(BATCH_ID, [first, second], AT) == {"pay_2": holder}
    assert dry_runs.claim(BATCH_ID, [second], AT) == {"pay_2": holder}
    assert dry_runs.claim(BATCH_ID, [first], AT) == {"pay_2": holder}
    other = dry_runs.claim(f"batch_{'1' * 32}", [second], AT)
    assert other == {"pay_2": IdHolder(500, second.content.hash)}


def test_a_payment_has_its_id_before_any_row(dry_runs: DryRunStore, store: PaymentStore) -> None:
    request = payment_request("pay_2")
    store.create(request, actor="api", at=AT)
    assert dry_runs.claim(BATCH_ID, ROWS[:1], AT) == {"pay_2": IdHolder(None, request.content.hash)}


def test_a_hundred_rows_are_claimed_of_which_some_were_claimed_before(
    dry_runs: DryRunStore,
) -> None:
    dry_runs.claim(BATCH_ID, ROWS[::2], AT)
    holders = dry_runs.claim(BATCH_ID, ROWS, AT)
    assert holders == {row.content.payment_id: IdHolder(row.line, row.content.hash) for row in ROWS}


def test_a_claim_is_dropped_after_thirty_days(dry_runs: DryRunStore, cloud: Cloud) -> None:
    dry_runs.claim(BATCH_ID, ROWS[:1], "2026-01-01T00:00:00+00:00")
    [item] = cloud.items(TABLES.processing_status)
    assert int(item["expires_at"]["N"]) == 1767225600 + 30 * 24 * 3600


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_what_passes_is_waited_for(dry_runs: DryRunStore, cloud: Cloud, code: str) -> None:
    cloud.dynamodb.transact_write_items = _refusing(  # type: ignore[method-assign]  # the fault
        cloud.dynamodb.transact_write_items, cloud, [None, code], 3
    )
    assert len(dry_runs.claim(BATCH_ID, ROWS[:2], AT)) == 2
    row = NotPaidRow(line=2, content=ROWS[0].content, outcome="duplicate")
    dry_runs.record_not_paid(BATCH_ID, [row], AT)
    assert len(cloud.items(TABLES.processing_status)) == 3


def test_what_does_not_pass_is_no_result(dry_runs: DryRunStore, cloud: Cloud) -> None:
    cloud.dynamodb.transact_write_items = _refusing(  # type: ignore[method-assign]  # the fault
        cloud.dynamodb.transact_write_items, cloud, ["TransactionConflict"], 100
    )
    with pytest.raises(ServiceUnavailable):
        dry_runs.claim(BATCH_ID, ROWS[:1], AT)
    row = NotPaidRow(line=2, content=ROWS[0].content, outcome="duplicate")
    with pytest.raises(ServiceUnavailable):
        dry_runs.record_not_paid(BATCH_ID, [row], AT)


def test_what_one_answer_had_no_room_for_is_asked_again(
    dry_runs: DryRunStore, store: PaymentStore, cloud: Cloud
) -> None:
    for row in ROWS[:10]:
        store.create(payment_request(row.content.payment_id, 7), actor="api", at=AT)
    read: Callable[..., Any] = cloud.dynamodb.batch_get_item

    def three_at_most(**arguments: Any) -> Any:
        [(table, wanted)] = arguments["RequestItems"].items()
        keys = wanted["Keys"]
        answer = dict(read(RequestItems={table: {**wanted, "Keys": keys[:3]}}))
        return {
            **answer,
            "UnprocessedKeys": {table: {**wanted, "Keys": keys[3:]}} if keys[3:] else {},
        }

    cloud.dynamodb.batch_get_item = three_at_most  # type: ignore[method-assign]  # the fault
    holders = dry_runs.claim(BATCH_ID, ROWS[:10], AT)
    assert {holder.line for holder in holders.values()} == {None}
    with pytest.raises(ServiceUnavailable):
        dry_runs.claim(BATCH_ID, ROWS, AT)
