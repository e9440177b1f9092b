"""The HTTP API: parse the request, call the service, map the outcome to an answer."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments.api import operations
from payments.api.answers import Response, json_response
from payments.api.lists import describe_page, parse_list_query
from payments.api.refusals import refuse
from payments.api.requests import UnknownRoute, json_body, parse_payment_json, path_parameter
from payments.api.reviews import caller, describe_waiting, parse_review_json
from payments.batches.batch import BATCH_ID
from payments.core.announcements import describe, describe_amounts, describe_operation
from payments.core.faults import BatchNotFound, OperationNotFound, PaymentNotFound
from payments.core.fields import PAYMENT_ID
from payments.core.payment import PaymentRequest
from payments.core.review import UnknownCaller
from payments.runtime import api_handler as runtime
from payments.runtime.api_handler import Services
from payments.telemetry.logs import about_payment, logger
from payments.telemetry.traces import traced


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """Answer one request of API Gateway (REST, Lambda proxy integration, payload 1.0)."""
    request_id: str = event.get("requestContext", {}).get("requestId", context.aws_request_id)
    logger.set_correlation_id(request_id)
    return answer(event, request_id, runtime.services())


def answer(event: dict[str, Any], request_id: str, services: Services) -> Response:
    """Route a request to the service and turn every outcome, error or not, into a response."""
    try:
        return _route(event, request_id, services)
    except Exception as error:  # noqa: BLE001 - a client must never see a stack trace
        return refuse(error, request_id)


def _route(event: dict[str, Any], request_id: str, services: Services) -> Response:
    route = (event.get("httpMethod"), event.get("resource"))
    if route in operations.ROUTES:
        return operations.route(event, request_id, services.operations)
    if route not in _ROUTES:
        raise UnknownRoute
    return _ROUTES[route](event, request_id, services)


def _submit(event: dict[str, Any], request_id: str, services: Services) -> Response:
    intake = services.intake
    content = parse_payment_json(json_body(event), intake.needs)
    about_payment(content.payment_id)
    request = PaymentRequest(content, "api", request_id, submitter=caller(event))
    payment, created = intake.submit(request)
    if created:
        # Only the request's context names the stage, too.
        path: str = event.get("requestContext", {}).get("path", event["resource"])
        location = f"{path.rstrip('/')}/{content.payment_id}"
        return json_response(HTTPStatus.ACCEPTED, describe(payment), {"Location": location})
    return json_response(HTTPStatus.OK, describe(payment), {"Idempotent-Replayed": "true"})


def _look_up(event: dict[str, Any], _request_id: str, services: Services) -> Response:
    payment_id = path_parameter(event, "payment_id")
    if not PAYMENT_ID.fullmatch(payment_id):
        raise PaymentNotFound(payment_id)
    about_payment(payment_id)
    # In this order: the amounts then hold every outcome that the operations tell.
    found, _ = services.operations.all_of(payment_id)
    payment, history = services.intake.look_up(payment_id)
    timeline = [
        {"sequence": entry.sequence, "status": entry.status.value, "at": entry.at}
        for entry in history
    ]
    body = {
        **describe(payment),
        "amounts": describe_amounts(payment),
        "history": timeline,
        "operations": [describe_operation(each, payment) for each in found],
    }
    if payment.capture_before is not None:
        body["capture_before"] = payment.capture_before
    return json_response(HTTPStatus.OK, body)


def _review(event: dict[str, Any], request_id: str, services: Services) -> Response:
    payment_id = path_parameter(event, "payment_id")
    by = caller(event)
    if by is None:
        raise UnknownCaller
    if not PAYMENT_ID.fullmatch(payment_id):
        raise PaymentNotFound(payment_id)
    about_payment(payment_id)
    review, note = parse_review_json(json_body(event))
    decided: dict[str, Any] = {"note": note, "by": by, "request_id": request_id}
    if "{refund_id}" in event["resource"]:
        refund_id = path_parameter(event, "refund_id")
        if not PAYMENT_ID.fullmatch(refund_id):
            raise OperationNotFound(refund_id)
        refund, payment, is_new = services.refund_reviews.decide(
            payment_id, refund_id, review, **decided
        )
        body = operations.described(refund, payment)
    else:
        payment, is_new = services.reviews.decide(payment_id, review, **decided)
        body = describe(payment)
    headers = {} if is_new else {"Idempotent-Replayed": "true"}
    return json_response(HTTPStatus.OK, body, headers)


def _list_waiting(_event: dict[str, Any], _request_id: str, services: Services) -> Response:
    oldest, has_more = services.waiting.oldest()
    body = {"data": [describe_waiting(each) for each in oldest], "has_more": has_more}
    return json_response(HTTPStatus.OK, body)


def _list(event: dict[str, Any], _request_id: str, services: Services) -> Response:
    query = parse_list_query(event)
    page = services.listing.page(query.filters, query.limit, query.bookmark)
    return json_response(HTTPStatus.OK, describe_page(page, query))


def _look_up_batch(event: dict[str, Any], _request_id: str, services: Services) -> Response:
    batch_id = path_parameter(event, "batch_id")
    progress = services.batches.progress(batch_id) if BATCH_ID.fullmatch(batch_id) else None
    if progress is None:
        raise BatchNotFound(batch_id)
    return json_response(HTTPStatus.OK, progress.describe())


_ROUTES: Final[dict[Any, Callable[[dict[str, Any], str, Services], Response]]] = {
    ("POST", "/payments"): _submit,
    ("GET", "/payments"): _list,
    ("GET", "/payments/{payment_id}"): _look_up,
    ("POST", "/payments/{payment_id}/review"): _review,
    ("POST", "/payments/{payment_id}/refunds/{refund_id}/review"): _review,
    ("GET", "/reviews"): _list_waiting,
    ("GET", "/batches/{batch_id}"): _look_up_batch,
}
"""The routes that no other module answers."""
