"""What a dead letter is: nothing that can be put back is passed over, and nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.letters import (
    BatchLetter,
    PaymentLetter,
    UnknownLetter,
    UploadLetter,
    read_letter,
)
from payments.batches.batch import Batch, ObjectVersion
from payments.core.messages import FORMAT, PaymentMessage, encode_message, encode_row
from tests.unit.aws_events import load
from tests.unit.cloud import BATCH_ID, payment_content, payment_request

BATCH = Batch(ObjectVersion("files", "a.csv", "v"))
SET_ASIDE = {
    "batch": BATCH.to_dict(),
    "size": 76,
    "error": {"Error": "ServiceUnavailable", "Cause": "{}"},
}


def test_a_payment_belongs_to_the_queue_of_its_source() -> None:
    by_api = encode_message(PaymentMessage(payment_request("pay_1"), tries=4))
    by_row = encode_row(BATCH_ID, 2, payment_content("pay_2", 100, "USD"))
    assert read_letter(by_api) == PaymentLetter("pay_1", "payment-events")
    assert read_letter(by_row) == PaymentLetter("pay_2", "payment-rows")


def test_a_batch_whose_workflow_gave_up_on_it_is_that_batch() -> None:
    assert read_letter(json.dumps(SET_ASIDE)) == BatchLetter(BATCH, 76)


def test_an_upload_that_lambda_gave_up_on_names_its_files() -> None:
    event = load("lambda_on_failure")
    source = ObjectVersion(
        "files", "march 2026/Überweisungen.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
    )
    assert read_letter(json.dumps(event)) == UploadLetter(
        ((Batch(source, submitted_by="AIDAEXAMPLE"), 76),)
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("poison", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "version"),
        (json.dumps({"version": FORMAT + 1, "kind": "refund"}), "newer release"),
        (json.dumps({"batch": None, "size": 1}), "cannot be read"),
        (json.dumps({"batch": {"batch_id": "b"}, "size": 1}), "cannot be read"),
        (json.dumps({**SET_ASIDE, "size": "none"}), "id or size"),
        (json.dumps({**SET_ASIDE, "batch": {**BATCH.to_dict(), "batch_id": BATCH_ID}}), "id or"),
        (json.dumps({"batch": BATCH.to_dict()}), "cannot be read"),
        (json.dumps({"requestPayload": {"Records": [{}]}}), "names no upload"),
        (json.dumps({"requestPayload": {"Records": []}}), "names no upload"),
        (json.dumps({"requestPayload": load("s3_test_event")}), "names no upload"),
        (json.dumps({"requestPayload": None}), "names no upload"),
        (json.dumps({"requestPayload": {"Records": [{"s3": {"bucket": 1}}]}}), "names no upload"),
    ],
)
def test_what_cannot_be_put_back_says_why(body: str, why: str) -> None:
    letter = read_letter(body)
    assert isinstance(letter, UnknownLetter)
    assert why in letter.why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["batch", "size", "requestPayload", "Records", "s3", "object", "key"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_no_body_breaks_the_reading_of_a_letter(document: Any) -> None:
    letter = read_letter(json.dumps(document))
    assert not isinstance(letter, PaymentLetter)
