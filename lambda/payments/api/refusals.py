"""Every error of the API as a problem (RFC 9457), in one table."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from payments.api.answers import RETRY_AFTER_SECONDS, Response, problem
from payments.api.requests import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    UnknownRoute,
    UnsupportedMediaType,
)
from payments.core.announcements import describe, describe_amounts, describe_operation
from payments.core.asking import REASONS
from payments.core.faults import (
    BatchNotFound,
    CaptureConflict,
    FieldError,
    InvalidRequest,
    NotCancelable,
    NotCapturable,
    NotRefundable,
    OperationConflict,
    OperationNotFound,
    OperationRefused,
    PaymentConflict,
    PaymentNotFound,
    RefundConflict,
    ServiceUnavailable,
)
from payments.core.payment import PaymentStatus
from payments.core.review import (
    NotInReview,
    OwnPayment,
    OwnRefund,
    RefundNotInReview,
    ReviewDecided,
    UnknownCaller,
)
from payments.telemetry.logs import logger


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an error is answered: status, end of the problem's type, detail, and what is wrong."""

    status: HTTPStatus
    code: str
    detail: str
    faults: tuple[FieldError, ...] = ()


REFUSALS: Final[dict[type[Exception], Refusal]] = {
    InvalidRequest: Refusal(
        HTTPStatus.BAD_REQUEST,
        "invalid-request",
        "The request has faults; each is listed in errors.",
    ),
    PaymentNotFound: Refusal(
        HTTPStatus.NOT_FOUND,
        "payment-not-found",
        "No payment has this id.",
        (FieldError("payment_id", "not_found", "names no payment"),),
    ),
    BatchNotFound: Refusal(
        HTTPStatus.NOT_FOUND,
        "batch-not-found",
        "No batch has this id, or its file is not read yet.",
        (FieldError("batch_id", "not_found", "names no batch"),),
    ),
    PaymentConflict: Refusal(
        HTTPStatus.CONFLICT,
        "payment-conflict",
        "This payment id belongs to a payment that was asked for otherwise, which stays as it is.",
        (FieldError("payment_id", "conflict", "is taken by another payment"),),
    ),
    OperationNotFound: Refusal(
        HTTPStatus.NOT_FOUND,
        "operation-not-found",
        "The payment has no refund with this id.",
        (FieldError("refund_id", "not_found", "names no refund of this payment"),),
    ),
    RefundConflict: Refusal(
        HTTPStatus.CONFLICT,
        "refund-conflict",
        "This refund id belongs to a refund that was asked for otherwise, which stays as it is.",
        (FieldError("refund_id", "conflict", "is taken by another refund"),),
    ),
    CaptureConflict: Refusal(
        HTTPStatus.CONFLICT,
        "capture-conflict",
        "This capture id belongs to a capture that was asked for otherwise, which stays as it is.",
        (FieldError("capture_id", "conflict", "is taken by another capture"),),
    ),
    NotRefundable: Refusal(
        HTTPStatus.CONFLICT,
        "not-refundable",
        "The payment cannot be refunded so; errors has why, and amounts what is left.",
    ),
    NotCapturable: Refusal(
        HTTPStatus.CONFLICT,
        "not-capturable",
        "The payment cannot be captured so; errors has why, and amounts what is left.",
    ),
    NotCancelable: Refusal(
        HTTPStatus.CONFLICT,
        "not-cancelable",
        "The payment cannot be cancelled; errors has why.",
    ),
    UnknownCaller: Refusal(
        HTTPStatus.FORBIDDEN,
        "unknown-caller",
        "Only a signed request tells who decides.",
        (FieldError("request", "unknown_caller", "must be signed by who decides"),),
    ),
    OwnPayment: Refusal(
        HTTPStatus.FORBIDDEN,
        "own-payment",
        "Who submitted a payment may not decide about it.",
        (FieldError("payment_id", "own_payment", "was submitted by the same person"),),
    ),
    NotInReview: Refusal(
        HTTPStatus.CONFLICT,
        "not-in-review",
        "The payment waits for no decision.",
        (FieldError("payment_id", "not_in_review", "names a payment that waits for no decision"),),
    ),
    OwnRefund: Refusal(
        HTTPStatus.FORBIDDEN,
        "own-refund",
        "Who asked for a refund may not decide about it.",
        (FieldError("refund_id", "own_refund", "was asked for by the same person"),),
    ),
    RefundNotInReview: Refusal(
        HTTPStatus.CONFLICT,
        "not-in-review",
        "The refund waits for no decision.",
        (FieldError("refund_id", "not_in_review", "names a refund that waits for no decision"),),
    ),
    ReviewDecided: Refusal(
        HTTPStatus.CONFLICT,
        "review-decided",
        "There is another decision, and it stands.",
        (FieldError("decision", "review_decided", "is not the one that was made"),),
    ),
    UnknownRoute: Refusal(
        HTTPStatus.NOT_FOUND,
        "unknown-route",
        "There is no such route. The contract of this API, openapi.yaml, has all of them.",
        (FieldError("request", "unknown_route", "is for no route of this API"),),
    ),
    UnsupportedMediaType: Refusal(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Send the payment as JSON in UTF-8: Content-Type: application/json.",
        (
            FieldError(
                "Content-Type",
                "unsupported",
                "must be application/json, without a charset or with utf-8 or us-ascii",
            ),
        ),
    ),
    BodyTooLarge: Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body-too-large",
        f"The body may have at most {MAX_BODY_BYTES} bytes.",
        (FieldError("body", "too_large", f"must have at most {MAX_BODY_BYTES} bytes"),),
    ),
    ServiceUnavailable: Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "service-unavailable",
        "The request could not be carried out just now. Send the same request again.",
        (FieldError("request", "unavailable", "may be sent again"),),
    ),
}
"""The errors that a client may see; any other is an :data:`INTERNAL_ERROR`."""

INTERNAL_ERROR: Final = Refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal-error",
    "Something went wrong on our side. The same request may be sent again.",
    (FieldError("request", "internal_error", "could not be handled"),),
)


def refuse(error: Exception, request_id: str) -> Response:
    """Return the answer to a request that ended in an error; faults of ours are logged."""
    refusal = REFUSALS.get(type(error), INTERNAL_ERROR)
    if refusal.status.is_server_error:
        logger.exception("request failed", exc_info=error)
    faults = list(refusal.faults)
    headers: dict[str, str] = {}
    extensions: dict[str, Any] = {}
    match error:
        case InvalidRequest(errors=errors):
            faults = errors
        case PaymentConflict(stored=stored):
            extensions["payment"] = describe(stored)
        case OperationConflict(stored=operation, payment=payment):
            extensions["operation"] = describe_operation(operation, payment)
        case OperationRefused(code=code, payment=payment):
            faults = [REASONS[code]]
            extensions["payment"] = describe(payment)
            extensions["amounts"] = describe_amounts(payment)
            if code == "operation_pending" or payment.status is PaymentStatus.PROCESSING:
                headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        case ServiceUnavailable():
            headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return problem(
        refusal.status,
        refusal.code,
        refusal.detail,
        request_id,
        faults,
        headers=headers,
        **extensions,
    )
