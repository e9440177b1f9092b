"""The HTTP API: parse the request, call the service, map the outcome to an answer."""

import base64
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments import runtime
from payments.batch_store import BATCH_ID, BatchStore
from payments.errors import (
    BatchNotFound,
    FieldError,
    InvalidRequest,
    PaymentConflict,
    PaymentError,
    PaymentNotFound,
    ServiceUnavailable,
)
from payments.models import PaymentRequest, describe
from payments.problems import RETRY_AFTER_SECONDS, Response, json_response, problem
from payments.runtime import about_payment, logger
from payments.service import PaymentIntake
from payments.tracing import traced
from payments.validation import PAYMENT_ID, parse_payment_json

MAX_BODY_BYTES: Final = 16 * 1024
"""A payment is three short fields; a longer body is refused with 413."""


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """Answer one request of API Gateway (REST, Lambda proxy integration, payload 1.0)."""
    request_id: str = event.get("requestContext", {}).get("requestId", context.aws_request_id)
    logger.set_correlation_id(request_id)
    return answer(event, request_id, runtime.payment_intake(), runtime.batch_store())


def answer(
    event: dict[str, Any], request_id: str, intake: PaymentIntake, batches: BatchStore
) -> Response:
    """Route a request to the service and turn every outcome, error or not, into a response."""
    try:
        return _route(event, request_id, intake, batches)
    except PaymentError as error:
        return _error_response(error, request_id)
    except Exception:  # noqa: BLE001 - a client must never see a stack trace
        logger.exception("request failed")
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-error",
            "Something went wrong on our side. The same request may be sent again.",
            request_id,
            [FieldError("request", "internal_error", "could not be handled")],
        )


class _UnsupportedMediaType(PaymentError):
    """The body is not declared as JSON."""


class _BodyTooLarge(PaymentError):
    """The body is longer than any payment."""


class _UnknownRoute(PaymentError):
    """API Gateway sent what no route of this API is."""


def _route(
    event: dict[str, Any], request_id: str, intake: PaymentIntake, batches: BatchStore
) -> Response:
    match event.get("httpMethod"), event.get("resource"):
        case "POST", "/payments":
            return _submit(event, request_id, intake)
        case "GET", "/payments/{payment_id}":
            return _look_up(event, intake)
        case "GET", "/batches/{batch_id}":
            return _look_up_batch(event, batches)
        case _:
            raise _UnknownRoute


def _submit(event: dict[str, Any], request_id: str, intake: PaymentIntake) -> Response:
    payment_id, amount_minor, currency = parse_payment_json(_json_body(event))
    about_payment(payment_id)
    request = PaymentRequest(payment_id, amount_minor, currency, "api", request_id)
    payment, created = intake.submit(request)
    if created:
        # Only the request's context names the stage, too.
        path: str = event.get("requestContext", {}).get("path", event["resource"])
        location = f"{path.rstrip('/')}/{payment_id}"
        return json_response(HTTPStatus.ACCEPTED, describe(payment), {"Location": location})
    return json_response(HTTPStatus.OK, describe(payment), {"Idempotent-Replayed": "true"})


def _look_up(event: dict[str, Any], intake: PaymentIntake) -> Response:
    payment_id = _path_parameter(event, "payment_id")
    if not PAYMENT_ID.fullmatch(payment_id):
        raise PaymentNotFound(payment_id)
    about_payment(payment_id)
    payment, history = intake.look_up(payment_id)
    timeline = [
        {"sequence": entry.sequence, "status": entry.status.value, "at": entry.at}
        for entry in history
    ]
    return json_response(HTTPStatus.OK, {**describe(payment), "history": timeline})


def _look_up_batch(event: dict[str, Any], batches: BatchStore) -> Response:
    batch_id = _path_parameter(event, "batch_id")
    progress = batches.progress(batch_id) if BATCH_ID.fullmatch(batch_id) else None
    if progress is None:
        raise BatchNotFound(batch_id)
    return json_response(HTTPStatus.OK, progress.describe())


def _json_body(event: dict[str, Any]) -> str:
    content_type = _content_type(event).partition(";")
    charset = content_type[2].replace(" ", "").lower()
    if content_type[0].strip().lower() != "application/json" or charset not in _CHARSETS:
        raise _UnsupportedMediaType
    body: str = event.get("body") or ""
    if len(body) > MAX_BODY_BYTES * 2:
        raise _BodyTooLarge
    try:
        encoded = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        if len(encoded) > MAX_BODY_BYTES:
            raise _BodyTooLarge
        return encoded.decode()
    except ValueError:
        fault = FieldError("body", "not_utf8", "must be encoded as UTF-8")
        raise InvalidRequest([fault]) from None


_CHARSETS: Final = frozenset({"", "charset=utf-8", 'charset="utf-8"'})


def _content_type(event: dict[str, Any]) -> str:
    """Return what the body is declared as; nothing, if it is declared more than once."""
    # API Gateway keeps one value of each name in "headers", and all of them here.
    repeated: dict[str, list[str] | None] = event.get("multiValueHeaders") or {}
    if sum(len(said or ()) for name, said in repeated.items() if _is_content_type(name)) > 1:
        return ""
    headers: dict[str, str | None] = event.get("headers") or {}
    declared = [value for name, value in headers.items() if value and _is_content_type(name)]
    return declared[0] if len(declared) == 1 else ""


def _is_content_type(name: str) -> bool:
    return name.lower() == "content-type"


def _path_parameter(event: dict[str, Any], name: str) -> str:
    parameters: dict[str, str | None] = event.get("pathParameters") or {}
    return parameters.get(name) or ""


def _error_response(  # noqa: PLR0911 - one answer for each kind of error
    error: PaymentError, request_id: str
) -> Response:
    match error:
        case InvalidRequest(errors=errors):
            return problem(
                HTTPStatus.BAD_REQUEST,
                "invalid-request",
                "The request has faults; each is listed in errors.",
                request_id,
                errors,
            )
        case PaymentNotFound():
            return problem(
                HTTPStatus.NOT_FOUND,
                "payment-not-found",
                "No payment has this id.",
                request_id,
                [FieldError("payment_id", "not_found", "names no payment")],
            )
        case BatchNotFound():
            return problem(
                HTTPStatus.NOT_FOUND,
                "batch-not-found",
                "No batch has this id, or its file is not read yet.",
                request_id,
                [FieldError("batch_id", "not_found", "names no batch")],
            )
        case PaymentConflict(stored=stored):
            return problem(
                HTTPStatus.CONFLICT,
                "payment-conflict",
                "This payment id belongs to a payment with another amount or currency,"
                " which stays as it is.",
                request_id,
                [FieldError("payment_id", "conflict", "is taken by another payment")],
                payment=describe(stored),
            )
        case _UnknownRoute():
            return problem(
                HTTPStatus.NOT_FOUND,
                "unknown-route",
                "There is POST /payments, GET /payments/{payment_id} and GET /batches/{batch_id},"
                " and nothing else.",
                request_id,
                [FieldError("request", "unknown_route", "is for no route of this API")],
            )
        case _UnsupportedMediaType():
            return problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Send the payment as JSON in UTF-8: Content-Type: application/json.",
                request_id,
                [FieldError("Content-Type", "unsupported", "must be application/json")],
            )
        case _BodyTooLarge():
            return problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body-too-large",
                f"The body may have at most {MAX_BODY_BYTES} bytes.",
                request_id,
                [FieldError("body", "too_large", f"must have at most {MAX_BODY_BYTES} bytes")],
            )
        case ServiceUnavailable():
            logger.exception("a service behind the API did not answer")
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "service-unavailable",
                "The request could not be carried out just now. Send the same request again.",
                request_id,
                [FieldError("request", "unavailable", "may be sent again")],
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
    raise error
