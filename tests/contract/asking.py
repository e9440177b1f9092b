"""Requests as clients send them, each answered by the handler in process."""

import json
from collections.abc import Callable
from typing import Any

from tests.unit.cloud import Cloud

SUBMIT, READ = "POST /payments", "GET /payments/{payment_id}"
LIST = "GET /payments"
REVIEW = "POST /payments/{payment_id}/review"
REVIEW_REFUND = "POST /payments/{payment_id}/refunds/{refund_id}/review"
LIST_REVIEWS = "GET /reviews"
READ_BATCH = "GET /batches/{batch_id}"
REFUND, READ_REFUNDS = "POST /payments/{payment_id}/refunds", "GET /payments/{payment_id}/refunds"
READ_REFUND = "GET /payments/{payment_id}/refunds/{refund_id}"
CAPTURE, CANCEL = "POST /payments/{payment_id}/captures", "POST /payments/{payment_id}/cancel"
REQUEST = {"$ref": "#/components/schemas/PaymentRequest"}
type Answered = tuple[int, dict[str, Any]]
type Seen = list[tuple[str, int, dict[str, Any]]]
type Send = Callable[..., Answered]
PAYMENT = {"payment_id": "pay_1", "amount": "99.99", "currency": "USD"}


def submit(send: Send, content: Any, **changes: Any) -> Answered:
    text = content if isinstance(content, str) else json.dumps(content)
    return send(SUBMIT, body=text, **changes)


def read(send: Send, payment_id: str, **changes: Any) -> Answered:
    return send(READ, pathParameters={"payment_id": payment_id}, **changes)


def signed(person: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::123456789012:user/{person}"
    return {"identity": {"user": f"AIDA{person.upper()}", "userArn": arn}}


def decide(send: Send, payment_id: str, by: str | None, body: Any, **changes: Any) -> Answered:
    text = body if isinstance(body, str) else json.dumps(body)
    context = {"requestContext": {} if by is None else signed(by)}
    path = {"pathParameters": {"payment_id": payment_id}}
    return send(REVIEW, body=text, **path, **context, **changes)


def decide_refund(
    send: Send, refund_id: str, by: str | None, body: Any, payment_id: str = "pay_1", **changes: Any
) -> Answered:
    text = body if isinstance(body, str) else json.dumps(body)
    context = {"requestContext": {} if by is None else signed(by)}
    path = {"pathParameters": {"payment_id": payment_id, "refund_id": refund_id}}
    return send(REVIEW_REFUND, body=text, **path, **context, **changes)


def list_payments(send: Send, **changes: Any) -> Answered:
    return send(LIST, **changes)


def operate(
    send: Send, operation: str, content: Any = None, payment_id: str = "pay_1", **changes: Any
) -> Answered:
    text = content if isinstance(content, str) else json.dumps(content)
    path = operation.partition(" ")[2].replace("{payment_id}", payment_id)
    return send(
        operation,
        body=text,
        pathParameters={"payment_id": payment_id},
        requestContext={"path": f"/dev{path}"},
        **changes,
    )


def read_refund(send: Send, refund_id: str, payment_id: str = "pay_1", **changes: Any) -> Answered:
    parameters = {"payment_id": payment_id, "refund_id": refund_id}
    return send(READ_REFUND, pathParameters=parameters, **changes)


def read_batch(send: Send, batch_id: str, **changes: Any) -> Answered:
    return send(READ_BATCH, pathParameters={"batch_id": batch_id}, **changes)


def report_uris(batch: dict[str, Any]) -> list[str]:
    reports = batch["reports"]
    return [uri for uri in (reports["summary"], *reports["rejected"], *reports["not_paid"]) if uri]


def report_text(cloud: Cloud, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8-sig")


APPROVE = {"decision": "approve", "note": "agreed"}
