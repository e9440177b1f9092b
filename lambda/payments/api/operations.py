"""Refunds, captures and cancellations over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from payments.api.answers import Response, json_response
from payments.api.requests import (
    json_body,
    parse_operation_json,
    path_parameter,
)
from payments.api.reviews import caller
from payments.core.announcements import describe_amounts, describe_operation
from payments.core.asking import Asked
from payments.core.faults import OperationNotFound, PaymentNotFound
from payments.core.fields import PAYMENT_ID
from payments.core.operation import Operation, OperationKind, OperationStatus
from payments.core.payment import Payment
from payments.flows.operations import OperationIntake
from payments.telemetry.logs import about_payment


def route(event: dict[str, Any], request_id: str, intake: OperationIntake) -> Response:
    """Answer a request about operations on a payment: one of :data:`ROUTES`.

    Raises:
        PaymentError: what the request is refused for.
    """
    payment_id = path_parameter(event, "payment_id")
    if not PAYMENT_ID.fullmatch(payment_id):
        raise PaymentNotFound(payment_id)
    about_payment(payment_id)
    answer = ROUTES[event["httpMethod"], event["resource"]]
    return answer(event, payment_id, request_id, intake)


def _refund(
    event: dict[str, Any], payment_id: str, request_id: str, intake: OperationIntake
) -> Response:
    asked = _asked(event, OperationKind.REFUND, payment_id, request_id)
    return _accepted(event, intake.refund(asked))


def _capture(
    event: dict[str, Any], payment_id: str, request_id: str, intake: OperationIntake
) -> Response:
    asked = _asked(event, OperationKind.CAPTURE, payment_id, request_id)
    return _accepted(event, intake.capture(asked))


def _cancel(
    event: dict[str, Any], payment_id: str, request_id: str, intake: OperationIntake
) -> Response:
    asked = _asked(event, OperationKind.CANCEL, payment_id, request_id)
    return _accepted(event, intake.cancel(payment_id, request_id, reason=asked.reason))


def _read_refunds(
    _event: dict[str, Any], payment_id: str, _request_id: str, intake: OperationIntake
) -> Response:
    found, payment = intake.all_of(payment_id, OperationKind.REFUND)
    data = [describe_operation(each, payment) for each in found]
    return json_response(HTTPStatus.OK, {"data": data, "amounts": describe_amounts(payment)})


def _read_refund(
    event: dict[str, Any], payment_id: str, _request_id: str, intake: OperationIntake
) -> Response:
    refund_id = path_parameter(event, "refund_id")
    if not PAYMENT_ID.fullmatch(refund_id):
        raise OperationNotFound(refund_id)
    return json_response(
        HTTPStatus.OK, described(*intake.look_up(payment_id, OperationKind.REFUND, refund_id))
    )


ROUTES: Final[
    dict[tuple[str, str], Callable[[dict[str, Any], str, str, OperationIntake], Response]]
] = {
    ("POST", "/payments/{payment_id}/refunds"): _refund,
    ("GET", "/payments/{payment_id}/refunds"): _read_refunds,
    ("GET", "/payments/{payment_id}/refunds/{refund_id}"): _read_refund,
    ("POST", "/payments/{payment_id}/captures"): _capture,
    ("POST", "/payments/{payment_id}/cancel"): _cancel,
}
"""The routes that this module answers."""


def _asked(event: dict[str, Any], kind: OperationKind, payment_id: str, request_id: str) -> Asked:
    asked = parse_operation_json(
        json_body(event), kind, payment_id=payment_id, correlation_id=request_id
    )
    return replace(asked, submitter=caller(event))


def _accepted(event: dict[str, Any], accepted: tuple[Operation, Payment, bool]) -> Response:
    """Answer a request that was accepted: new, done already, or known from before."""
    operation, payment, created = accepted
    body = described(operation, payment)
    if not created:
        return json_response(HTTPStatus.OK, body, {"Idempotent-Replayed": "true"})
    if operation.status is OperationStatus.COMPLETED:
        return json_response(HTTPStatus.OK, body)
    return json_response(HTTPStatus.ACCEPTED, body, {"Location": _location(event, operation)})


def _location(event: dict[str, Any], operation: Operation) -> str:
    """Return where what becomes of an operation can be read: a refund's own page, or the payment."""
    # Only the request's context names the stage, too.
    path: str = event.get("requestContext", {}).get("path", event["resource"])
    path = path.rstrip("/")
    if operation.kind is OperationKind.REFUND:
        return f"{path}/{operation.operation_id}"
    return path.rpartition("/")[0]


def described(operation: Operation, payment: Payment) -> dict[str, Any]:
    """Return an operation as an answer about it alone shows it, with its payment's amounts."""
    body = describe_operation(operation, payment)
    if operation.reason is not None:
        body["reason"] = operation.reason
    return {
        **body,
        "payment_id": payment.payment_id,
        "payment_status": payment.status.value,
        "amounts": describe_amounts(payment),
    }
