"""No two items share a key by accident, whatever ids clients choose."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_handler import answer
from payments.aws import keys
from payments.aws.batches import BatchStore
from payments.aws.payments import PaymentStore
from payments.batches.progress import BatchStatus
from payments.core.faults import ServiceUnavailable
from payments.flows.intake import PaymentIntake
from payments.runtime.api_handler import Services
from tests.unit.aws_events import api_post
from tests.unit.cloud import TABLES, Cloud, payment_request

BATCH_ID = f"batch_{'0123456789abcdef' * 2}"
NUMBERS = st.integers(min_value=0, max_value=10**12)
# Half of the ids are taken from few, so that different kinds often have the same one.
IDS = st.sampled_from(["a", BATCH_ID, "row", "3", "payment"]) | st.from_regex(
    r"[A-Za-z0-9_-]{1,64}", fullmatch=True
)
KINDS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "status of a batch": keys.batch_status_key,
    "range of a batch": keys.range_key,
    "outcomes of its rows": lambda id_, number: keys.outcomes_key(id_, str(number)),
    "row that was not paid": keys.row_key,
    "claim of a dry run": lambda id_, _: keys.claim_key(BATCH_ID, id_),
    "its claim of a refund": lambda id_, _: keys.refund_claim_key(BATCH_ID, id_, "r1"),
    "what it leaves to refund": lambda id_, _: keys.refund_left_key(BATCH_ID, id_),
    "sandbox's memory": lambda id_, _: keys.sandbox_key(id_),
    "end of the last sweep": lambda _, __: keys.sweep_key(),
    "processor's next turn": lambda _, __: keys.turn_key(),
}


@given(st.sampled_from(sorted(KINDS)), IDS, NUMBERS, st.sampled_from(sorted(KINDS)), IDS, NUMBERS)
def test_two_items_of_processing_status_meet_only_if_they_are_the_same(
    kind: str, id_: str, number: int, other_kind: str, other_id: str, other_number: int
) -> None:
    key, other = KINDS[kind](id_, number), KINDS[other_kind](other_id, other_number)
    if key == other:
        assert kind == other_kind
        # There is one item of these.
        assert id_ == other_id or kind in {"end of the last sweep", "processor's next turn"}


@given(IDS, NUMBERS, NUMBERS)
def test_a_number_has_a_key_of_its_own(id_: str, number: int, other: int) -> None:
    for key_of in (keys.audit_key, keys.batch_status_key, keys.range_key, keys.row_key):
        assert (key_of(id_, number) == key_of(id_, other)) == (number == other)


def test_every_kind_is_in_the_table_at_the_top() -> None:
    table = keys.__doc__ or ""
    for kind, key_of in KINDS.items():
        prefix = str(key_of("id", 1)["entity_id"]).partition("#")[0]
        row = next(line for line in table.splitlines() if line.startswith(kind))
        assert f"``{prefix}#" in row


def test_a_payment_named_like_a_batch_leaves_the_batch_as_it_is(
    services: Services, intake: PaymentIntake, batch_store: BatchStore
) -> None:
    details = {
        "batch_id": BATCH_ID,
        "bucket": "files",
        "key": "a.csv",
        "version_id": "1",
        "dry_run": False,
        "reports": "s3://results/a",
    }
    batch_store.record(BATCH_ID, BatchStatus.PROCESSING, "2026-01-01T00:00:00Z", details=details)
    before = batch_store.progress(BATCH_ID)
    payment = {"payment_id": BATCH_ID, "amount": 1, "currency": "USD"}
    response = answer(api_post(payment), "request", services)
    assert response["statusCode"] == 202
    assert batch_store.progress(BATCH_ID) == before
    payment_now, history = intake.look_up(BATCH_ID)
    assert [entry.status for entry in history] == [payment_now.status]


def test_an_audit_record_that_is_there_already_is_never_written_over(
    cloud: Cloud, store: PaymentStore
) -> None:
    key = {"payment_id": {"S": "pay_1"}, "sequence": {"N": "1"}}
    cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item={**key, "at": {"S": "then"}})
    with pytest.raises(ServiceUnavailable):
        store.create(payment_request("pay_1"), actor="api", at="2026-01-01T00:00:00Z")
    assert [item["at"]["S"] for item in cloud.items(TABLES.audit_logs)] == ["then"]
    assert not cloud.items(TABLES.payments)
