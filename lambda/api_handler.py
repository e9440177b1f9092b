"""The HTTP API: parse the request, call the service, map the outcome to an answer."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments.api import operations
from payments.api.answers import Response, json_response
from payments.api.lists import describe_page, parse_list_query
from payments.api.refusals import refuse
from payments.api.requests import UnknownRoute, json_body, parse_payment_json, path_parameter
from payments.api.reviews import caller, parse_review_json
from payments.batches.batch import BATCH_ID
from payments.batches.ports import Records
from payments.core.announcements import describe, describe_amounts, describe_operation
from payments.core.faults import BatchNotFound, PaymentNotFound
from payments.core.fields import PAYMENT_ID
from payments.core.payment import PaymentRequest
from payments.core.review import UnknownCaller
from payments.flows.intake import PaymentIntake
from payments.flows.listing import PaymentListing
from payments.flows.review import Reviews
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
    match event.get("httpMethod"), event.get("resource"):
        case "POST", "/payments":
            return _submit(event, request_id, services.intake)
        case "GET", "/payments":
            return _list(event, services.listing)
        case "GET", "/payments/{payment_id}":
            return _look_up(event, services)
        case known if known in operations.ROUTES:
            return operations.route(event, request_id, services.operations)
        case "POST", "/payments/{payment_id}/review":
            return _review(event, request_id, services.reviews)
        case "GET", "/batches/{batch_id}":
            return _look_up_batch(event, services.batches)
        case _:
            raise UnknownRoute


def _submit(event: dict[str, Any], request_id: str, intake: PaymentIntake) -> Response:
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


def _look_up(event: dict[str, Any], services: Services) -> Response:
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


def _review(event: dict[str, Any], request_id: str, reviews: Reviews) -> Response:
    payment_id = path_parameter(event, "payment_id")
    by = caller(event)
    if by is None:
        raise UnknownCaller
    if not PAYMENT_ID.fullmatch(payment_id):
        raise PaymentNotFound(payment_id)
    about_payment(payment_id)
    review, note = parse_review_json(json_body(event))
    payment, is_new = reviews.decide(payment_id, review, note=note, by=by, request_id=request_id)
    headers = {} if is_new else {"Idempotent-Replayed": "true"}
    return json_response(HTTPStatus.OK, describe(payment), headers)


def _list(event: dict[str, Any], listing: PaymentListing) -> Response:
    query = parse_list_query(event)
    page = listing.page(query.filters, query.limit, query.bookmark)
    return json_response(HTTPStatus.OK, describe_page(page, query))


def _look_up_batch(event: dict[str, Any], batches: Records) -> Response:
    batch_id = path_parameter(event, "batch_id")
    progress = batches.progress(batch_id) if BATCH_ID.fullmatch(batch_id) else None
    if progress is None:
        raise BatchNotFound(batch_id)
    return json_response(HTTPStatus.OK, progress.describe())
