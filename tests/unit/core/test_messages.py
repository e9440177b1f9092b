"""Queue messages: written and read, and checked like a request."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.content import Content
from payments.core.faults import InvalidMessage, NewerMessage
from payments.core.fields import OPTIONAL_FIELDS
from payments.core.messages import (
    FORMAT,
    SOURCE,
    OperationMessage,
    PaymentMessage,
    decode_message,
    encode_message,
    encode_row,
    message_of,
)
from payments.core.operation import OperationKind, OperationRef
from payments.core.payment import Payment, PaymentRequest, PaymentStatus
from payments.core.review import Person
from tests.unit.cloud import BATCH_ID, ROW, payment_message, payment_request

MARK = "4111111111111111"
"""Where it stands, a client might have sent a card number: no error may repeat it."""

SHA256 = "0123456789abcdef" * 4

_PROCESSOR_IDS = st.from_regex(r"(cus|pm)_[A-Za-z0-9_-]{1,251}", fullmatch=True)
_OPTIONS: dict[str, Any] = {
    "processor_customer": st.none() | _PROCESSOR_IDS,
    "processor_payment_method": st.none() | _PROCESSOR_IDS,
    "capture": st.sampled_from(["automatic", "manual"]),
}
CONTENTS = st.builds(
    Content,
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.integers(1, 10**18 - 1),
    st.from_regex(r"[A-Z]{3}", fullmatch=True),
    st.integers(0, 4),
    **_OPTIONS,
)
LINES = st.integers(2, 10**18 - 1)
SOURCES = st.just("api") | LINES.map(lambda line: f"batch:{BATCH_ID}:{line}")
REQUESTS = st.builds(
    PaymentRequest, CONTENTS, SOURCES, st.from_regex(r"[!-~]{1,128}", fullmatch=True)
)


def accepted(request: PaymentRequest) -> Payment:
    """Return a payment as it was accepted."""
    return Payment(
        content=request.content,
        status=PaymentStatus.PENDING,
        version=1,
        content_hash=request.content.hash,
        source=request.source,
        correlation_id=request.correlation_id,
        created_at="2026-01-01T00:00:00.000000Z",
        updated_at="2026-01-01T00:00:00.000000Z",
        audit_hash=SHA256,
    )


def document() -> dict[str, Any]:
    """Return a message of a payment that was accepted by API, as JSON has it."""
    read: dict[str, Any] = json.loads(encode_message(message_of(accepted(payment_request()))))
    return read


FIELDS_BY_FORMAT = {2: ("processor_customer", "processor_payment_method", "capture")}
"""The optional fields that each version of the messages may have."""


def test_a_new_optional_field_comes_with_a_new_format_that_older_code_leaves_alone() -> None:
    newest = max(FIELDS_BY_FORMAT)
    assert FIELDS_BY_FORMAT[newest] == OPTIONAL_FIELDS
    asked = payment_request()
    later = replace(asked, content=asked.content._replace(capture="manual"))
    assert json.loads(encode_message(PaymentMessage(later)))["version"] == newest <= FORMAT


def test_messages_are_tried_with_every_optional_field() -> None:
    assert tuple(_OPTIONS) == OPTIONAL_FIELDS


@given(REQUESTS, st.booleans(), st.integers(0, 1000))
def test_a_message_survives_being_written_and_read(
    request: PaymentRequest,
    is_stored: bool,  # noqa: FBT001 - a case
    tries: int,
) -> None:
    message = PaymentMessage(request, accepted(request) if is_stored else None, tries)
    assert decode_message(encode_message(message)) == message


REFUND = OperationMessage(OperationRef("pay_1", OperationKind.REFUND, "r1"), "api", "request-1")


@given(st.sampled_from(OperationKind), SOURCES, st.integers(0, 1000))
def test_a_message_about_an_operation_survives_being_written_and_read(
    kind: OperationKind, source: str, tries: int
) -> None:
    message = OperationMessage(OperationRef("pay_1", kind, "r-1"), source, "request-1", tries)
    assert decode_message(encode_message(message)) == message


def test_a_message_about_an_operation_is_written_so() -> None:
    first = {
        "kind": "operation",
        "version": 2,
        "payment_id": "pay_1",
        "operation": "refund",
        "operation_id": "r1",
        "source": "api",
        "correlation_id": "request-1",
    }
    assert json.loads(encode_message(REFUND)) == first
    assert json.loads(encode_message(REFUND.again())) == first | {"tries": 1}
    assert json.loads(encode_message(REFUND.again().again())) == first | {"tries": 2}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payment_id", "a b"),
        ("operation", "review"),
        ("operation_id", ""),
        ("source", "x"),
        ("correlation_id", "a b"),
        ("tries", -1),
        ("tries", 10**18),
    ],
)
def test_a_malformed_field_of_an_operation_is_named(field: str, value: object) -> None:
    message = {**json.loads(encode_message(REFUND)), field: value}
    with pytest.raises(InvalidMessage, match=f"^{field} must be"):
        decode_message(json.dumps(message))


@given(CONTENTS, LINES, st.sampled_from([None, "AIDAEXAMPLE", "AROAEXAMPLE:alice@example.com"]))
def test_a_row_is_written_as_any_other_message(
    content: Content, line: int, submitted_by: str | None
) -> None:
    origin = f"{BATCH_ID}:{line}"
    submitter = None if submitted_by is None else Person.of(submitted_by)
    request = PaymentRequest(content, f"batch:{origin}", origin, submitter=submitter)
    written = encode_row(BATCH_ID, line, content, submitted_by)
    assert written == encode_message(PaymentMessage(request))
    assert decode_message(written).request == request  # type: ignore[union-attr]  # a payment's


@pytest.mark.parametrize("submitted_by", ["", "a b", 7, None, "x" * 129])
def test_who_submitted_a_row_is_an_id_of_iam(submitted_by: object) -> None:
    with pytest.raises(InvalidMessage, match="submitted_by"):
        decode_message(json.dumps({**document(), "submitted_by": submitted_by}))


def test_a_message_says_its_kind_and_its_version() -> None:
    assert (document()["kind"], document()["version"]) == ("payment", 1)


@pytest.mark.parametrize(
    "option",
    [{"capture": "manual"}, {"processor_customer": "cus_1"}, {"processor_payment_method": "pm_1"}],
)
def test_code_that_does_not_know_an_optional_field_lets_its_message_wait(
    option: dict[str, Any],
) -> None:
    request = payment_request()
    asked = replace(request, content=request.content._replace(**option))
    document = json.loads(encode_message(PaymentMessage(asked)))
    assert document["version"] == 2
    assert {name: document[name] for name in option} == option


def test_a_message_that_is_sent_again_counts_its_tries() -> None:
    message = PaymentMessage(payment_request())
    assert decode_message(encode_message(message.again().again())).tries == 2


@pytest.mark.parametrize("status", [PaymentStatus.PROCESSING, PaymentStatus.COMPLETED])
def test_only_a_payment_as_it_was_accepted_travels_whole(status: PaymentStatus) -> None:
    moved = replace(accepted(payment_request()), status=status)
    assert message_of(moved).accepted is None
    assert message_of(accepted(payment_request())).accepted is not None


@pytest.mark.parametrize("body", ["", "not json", "[]", "null", "1", '"text"', "[" * 100_000, MARK])
def test_a_text_that_is_no_json_object_is_none_of_ours(body: str) -> None:
    with pytest.raises(InvalidMessage, match="JSON") as refused:
        decode_message(body)
    assert MARK not in str(refused.value)


MALFORMED: dict[str, list[Any]] = {
    "kind": [None, "refund", 1, [], MARK],
    "version": [None, 0, -1, True, "1", 1.0, [], MARK],
    "payment_id": [None, "", "a b", "x" * 65, 1, f"{MARK}\n", []],
    "amount_minor": [None, 0, -1, 10**18, 10**30, 1.5, True, "1", MARK, []],
    "currency": [None, "", "usd", "USDX", 1, MARK],
    "exponent": [None, -1, 5, "2", 2.0, True, []],
    "source": [
        None,
        "",
        "API",
        "batch",
        "batch:x",
        "batch:b:2",
        f"batch:{BATCH_ID}",
        f"batch:{BATCH_ID}:0",
        f"batch:{BATCH_ID}:02",
        f"batch:{BATCH_ID}:-2",
        f"batch:{BATCH_ID}:{'9' * 19}",
        f"batch:{BATCH_ID.upper()}:2",
        f"{ROW}\n",
        f"x{ROW}",
        1,
        MARK,
    ],
    "correlation_id": [None, "", "x" * 129, "a b", "ä", "a\n", 1, []],
    "tries": [-1, "1", 1.0, True, [], MARK],
    "audit_hash": ["", SHA256.upper(), SHA256[:-1], f"{SHA256}0", 1, MARK],
    "processor_customer": ["", 1, [], "a b", MARK, f"cus_{'x' * 252}"],
    "processor_payment_method": ["", 1, [], "a b", MARK],
    "capture": ["", "later", 1, [], MARK],
    "created_at": ["", "yesterday", "2026-01-01", 1, f"{MARK}Z"],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in MALFORMED.items() for value in values]
)
def test_a_malformed_field_is_named_and_its_content_is_not_repeated(
    field: str, value: object
) -> None:
    message = {**document(), field: value}
    if value is None:
        del message[field]
    with pytest.raises(InvalidMessage, match=field) as refused:
        decode_message(json.dumps(message))
    assert MARK not in str(refused.value)


@pytest.mark.parametrize("field", ["audit_hash", "created_at"])
def test_a_stored_payment_is_described_whole_or_not_at_all(field: str) -> None:
    message = document()
    del message[field]
    with pytest.raises(InvalidMessage, match=field):
        decode_message(json.dumps(message))


def test_every_fault_is_named_at_once() -> None:
    message = {**document(), "payment_id": "", "amount_minor": 0, "source": "x"}
    with pytest.raises(InvalidMessage) as refused:
        decode_message(json.dumps(message))
    for field in ("payment_id", "amount_minor", "source"):
        assert field in str(refused.value)


@pytest.mark.parametrize("amount_minor", [1, 10**18 - 1])
def test_the_smallest_and_the_largest_amount_are_read(amount_minor: int) -> None:
    message = {**document(), "amount_minor": amount_minor}
    assert payment_message(json.dumps(message)).request.amount_minor == amount_minor


@given(SOURCES)
def test_a_source_is_the_api_or_a_line_of_a_batch(source: str) -> None:
    assert SOURCE.fullmatch(source)


@pytest.mark.parametrize(
    "newer",
    [
        {"version": FORMAT + 1},
        {"version": 99, "kind": "refund"},
        {"version": 4, "kind": "payment", "payment_id": {"of": "another shape"}},
    ],
)
def test_a_message_of_a_newer_release_is_told_apart_and_never_judged(
    newer: dict[str, Any],
) -> None:
    with pytest.raises(NewerMessage, match=str(newer["version"])):
        decode_message(json.dumps({**document(), **newer}))
    with pytest.raises(NewerMessage):
        decode_message(json.dumps(newer))


@given(st.text(max_size=200) | st.recursive(st.none(), st.lists, max_leaves=5).map(json.dumps))
def test_no_text_breaks_the_reading_of_a_message(body: str) -> None:
    with pytest.raises((InvalidMessage, NewerMessage)):
        decode_message(body)
