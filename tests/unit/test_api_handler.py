"""The HTTP API as a client sees it, on the real service, store and queue adapters."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from inspect import unwrap
from typing import Any

import pytest

from api_handler import answer, handler
from payments.api.requests import MAX_BODY_BYTES
from payments.aws.payments import PaymentStore
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.steps import BatchProcessing
from payments.core.faults import ServiceUnavailable
from payments.flows.intake import PaymentIntake
from payments.runtime import api_handler as runtime
from payments.runtime.api_handler import Services
from tests.unit.aws_events import context, load
from tests.unit.cloud import Cloud, FailingQueue, process

type Client = Callable[..., tuple[int, dict[str, str], dict[str, Any]]]

PAYMENT = {"payment_id": "pay_123456", "amount": 99.99, "currency": "USD"}


@pytest.fixture
def post(services: Services) -> Client:
    """POST a body to /payments."""

    def call(
        content: object = PAYMENT, /, *, intake: PaymentIntake = services.intake, **event: Any
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        text = content if isinstance(content, str) else json.dumps(content)
        return _answered(
            {**load("api_post_payment"), "body": text, **event}, replace(services, intake=intake)
        )

    return call


@pytest.fixture
def get(services: Services) -> Client:
    """GET /payments/{payment_id}."""

    def call(payment_id: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        event = {**load("api_get_payment"), "pathParameters": {"payment_id": payment_id}}
        return _answered(event, services)

    return call


def _answered(
    event: dict[str, Any], services: Services
) -> tuple[int, dict[str, str], dict[str, Any]]:
    response = answer(event, event["requestContext"]["requestId"], services)
    return response["statusCode"], response["headers"], json.loads(response["body"])


def _codes(problem: dict[str, Any]) -> set[tuple[str, str]]:
    return {(error["field"], error["code"]) for error in problem["errors"]}


def test_a_payment_is_accepted_and_queued(post: Client, cloud: Cloud) -> None:
    status, headers, body = post()
    assert status == 202
    assert headers["Location"] == "/dev/payments/pay_123456"
    assert headers["Content-Type"] == "application/json"
    assert body["status"] == "PENDING"
    assert (body["payment_id"], body["amount"], body["currency"]) == ("pay_123456", "99.99", "USD")
    [message] = cloud.messages()
    assert json.loads(message["Body"])["amount_minor"] == 9999


@pytest.mark.parametrize("event", ["api_post_payment", "api_test_invoke"])
def test_the_documented_request_is_the_one_in_the_event_file(
    services: Services, event: str
) -> None:
    status, _, _ = _answered(load(event), services)
    assert status == 202


@pytest.mark.parametrize("amount", ['"99.99"', "99.990"])
def test_the_same_payment_again_is_a_replay(post: Client, amount: str) -> None:
    post()
    again = f'{{"currency": "USD", "amount": {amount}, "payment_id": "pay_123456"}}'
    status, headers, body = post(again)
    assert status == 200
    assert headers["Idempotent-Replayed"] == "true"
    assert body["status"] == "PENDING"


def test_a_first_answer_does_not_claim_to_be_a_replay(post: Client) -> None:
    _, headers, _ = post()
    assert "Idempotent-Replayed" not in headers


@pytest.mark.parametrize("other", [{"amount": 1}, {"currency": "EUR"}])
def test_other_content_under_the_same_id_is_a_conflict(
    post: Client, get: Client, other: dict[str, Any]
) -> None:
    post()
    status, headers, body = post({**PAYMENT, **other})
    assert status == 409
    assert headers["Content-Type"] == "application/problem+json"
    assert body["payment"]["amount"] == "99.99"
    assert get("pay_123456")[2]["amount"] == "99.99"


def test_a_payment_can_be_looked_up_with_its_history(post: Client, get: Client) -> None:
    post()
    status, _, body = get("pay_123456")
    assert status == 200
    assert [(entry["sequence"], entry["status"]) for entry in body["history"]] == [(1, "PENDING")]
    assert body["history"][0]["at"] == body["created_at"]


@pytest.mark.parametrize("payment_id", ["pay_none", "no spaces", "x" * 65, "", "../etc"])
def test_an_unknown_payment_is_not_found(get: Client, payment_id: str) -> None:
    status, headers, body = get(payment_id)
    assert status == 404
    assert headers["Content-Type"] == "application/problem+json"
    assert _codes(body) == {("payment_id", "not_found")}


def test_a_refusal_names_every_fault_and_writes_nothing(post: Client, cloud: Cloud) -> None:
    status, headers, body = post({"payment_id": "a b", "amount": 0, "currency": "usd", "x": 1})
    assert status == 400
    assert headers["Content-Type"] == "application/problem+json"
    assert body["request_id"] == "1f0cbd8b-5ee8-4c1f-b7a3-5b1f3a2d9a10"
    assert body["status"] == 400
    assert {error["field"] for error in body["errors"]} == {
        "payment_id",
        "amount",
        "currency",
        "x",
    }
    assert cloud.items("payments") == []
    assert cloud.messages() == []


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1"],
)
def test_another_media_type_is_unsupported(post: Client, content_type: str) -> None:
    status, _, body = post(headers={"Content-Type": content_type})
    assert status == 415
    assert _codes(body) == {("Content-Type", "unsupported")}


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"CONTENT-TYPE": "Application/JSON; charset=UTF-8"},
    ],
)
def test_json_is_recognised_however_its_header_is_written(
    post: Client, headers: dict[str, str]
) -> None:
    assert post(headers=headers)[0] == 202


def test_a_byte_order_mark_and_an_ascii_charset_change_nothing(post: Client) -> None:
    headers = {"Content-Type": "application/json; charset=us-ascii"}
    assert post(f"\ufeff{json.dumps(PAYMENT)}")[0] == 202
    status, answered, _ = post(headers=headers)
    assert status == 200
    assert answered["Idempotent-Replayed"] == "true"


def test_an_unsupported_charset_is_answered_with_what_is_supported(post: Client) -> None:
    status, _, body = post(headers={"Content-Type": "application/json; charset=iso-8859-1"})
    assert status == 415
    [error] = body["errors"]
    assert error["message"].endswith("without a charset or with utf-8 or us-ascii")


def test_a_body_beyond_the_limit_is_too_large(post: Client) -> None:
    status, _, body = post(json.dumps(PAYMENT) + " " * MAX_BODY_BYTES)
    assert status == 413
    assert _codes(body) == {("body", "too_large")}


def test_a_base64_body_is_decoded(post: Client) -> None:
    encoded = base64.b64encode(json.dumps(PAYMENT).encode()).decode()
    assert post(encoded, isBase64Encoded=True)[0] == 202


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b'{"payment_id": "\xe9"}'])
def test_a_body_that_is_not_utf_8_is_refused(post: Client, body: bytes) -> None:
    status, _, problem = post(base64.b64encode(body).decode(), isBase64Encoded=True)
    assert status == 400
    assert _codes(problem) == {("body", "not_utf8")}


@pytest.mark.parametrize("body", [None, "", "\ud800", '{"\ud800": 1}'])
def test_a_strange_body_is_the_clients_fault(post: Client, body: str | None) -> None:
    status, _, _ = post("", body=body)
    assert status == 400


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"payment_id": "p", "payment_id": "p"}', "duplicate_key"),
        ("[" * 8000 + "]" * 8000, "too_deep"),
        ('{"a":' * 2500 + "1" + "}" * 2500, "too_deep"),
        ("\x00", "malformed_json"),
        ("\ufeff\ufeff{}", "malformed_json"),
        ("null", "invalid_type"),
        ('{"payment_id": "\\ud800", "amount": 1, "currency": "USD"}', "invalid_format"),
    ],
)
def test_a_hostile_body_is_answered_with_its_fault(post: Client, body: str, code: str) -> None:
    status, headers, problem = post(body)
    assert status == 400
    assert headers["Content-Type"] == "application/problem+json"
    assert code in {error["code"] for error in problem["errors"]}


def test_a_megabyte_of_spaces_is_too_large(post: Client) -> None:
    assert post(" " * 1024 * 1024)[0] == 413


@pytest.mark.parametrize("body", ["@@@\u00e9", "abc", "====", None])
def test_a_body_that_is_no_base64_is_the_clients_fault(post: Client, body: str | None) -> None:
    assert post("", body=body, isBase64Encoded=True)[0] == 400


@pytest.mark.parametrize("headers", [None, {}, {"Content-Type": None}])
def test_a_request_without_a_content_type_is_unsupported(
    post: Client, headers: dict[str, str | None] | None
) -> None:
    assert post(headers=headers)[0] == 415


@pytest.mark.parametrize("resource", ["/payments/{payment_id}", "/batches/{batch_id}"])
@pytest.mark.parametrize("parameters", [None, {}, {"payment_id": None, "batch_id": None}])
def test_a_path_without_an_id_is_not_found(
    services: Services,
    resource: str,
    parameters: dict[str, str | None] | None,
) -> None:
    event = {**load("api_get_payment"), "resource": resource, "pathParameters": parameters}
    assert _answered(event, services)[0] == 404


@pytest.mark.parametrize(
    "other", [{"resource": "/refunds"}, {"httpMethod": "DELETE"}, {"resource": None}]
)
def test_a_route_that_is_none_is_not_found(
    services: Services, other: dict[str, str | None]
) -> None:
    event = {**load("api_get_payment"), **other}
    status, headers, body = _answered(event, services)
    assert status == 404
    assert headers["Content-Type"] == "application/problem+json"
    assert _codes(body) == {("request", "unknown_route")}


def test_an_event_of_an_http_api_is_for_no_route_of_a_rest_api(
    monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    monkeypatch.setattr(runtime, "services", lambda: services)
    response = unwrap(handler)(load("http_api_post_payment"), context())
    assert response["statusCode"] == 404
    assert json.loads(response["body"])["request_id"] == "JKJaXmPLvHcESHA="


def test_an_event_without_a_context_has_the_invocations_id(
    monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    monkeypatch.setattr(runtime, "services", lambda: services)
    event = load("api_post_payment")
    del event["requestContext"]
    response = unwrap(handler)(event, context())
    assert response["statusCode"] == 202
    assert response["headers"]["Location"] == "/payments/pay_123456"
    assert json.loads(unwrap(handler)({}, context())["body"])["request_id"] == "invocation-1"


def test_a_payment_that_cannot_be_queued_is_not_promised(
    post: Client, store: PaymentStore, cloud: Cloud
) -> None:
    status, headers, body = post(
        intake=PaymentIntake(store, FailingQueue(ServiceUnavailable("no answer")))
    )
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert _codes(body) == {("request", "unavailable")}
    status, _, _ = post()
    assert status == 200
    assert len(cloud.messages()) == 1


def test_a_defect_of_ours_shows_no_detail(post: Client, store: PaymentStore) -> None:
    status, headers, body = post(
        intake=PaymentIntake(store, FailingQueue(RuntimeError("secret-internal-name")))
    )
    assert status == 500
    assert headers["Content-Type"] == "application/problem+json"
    assert "secret-internal-name" not in json.dumps(body)


def test_a_batch_can_be_looked_up(
    cloud: Cloud, services: Services, batches: BatchProcessing
) -> None:
    content = b"payment_id,amount,currency\npay_1,1,USD\npay 2,1,USD\n"
    version = cloud.s3.put_object(Bucket="files", Key="a.csv", Body=content)["VersionId"]
    batch = Batch(ObjectVersion("files", "a.csv", version))
    process(batches, batch, len(content))
    event = {
        **load("api_get_payment"),
        "resource": "/batches/{batch_id}",
        "pathParameters": {"batch_id": batch.batch_id},
    }
    status, _, body = _answered(event, services)
    assert status == 200
    assert (body["status"], body["rows"], body["accepted"], body["rejected"]) == (
        "PROCESSING",
        2,
        1,
        1,
    )
    assert body["reports"]["rejected"] == [f"s3://results/{batch.batch_id}/rejected-00000.csv"]


@pytest.mark.parametrize("batch_id", ["batch_none", "pay_1", f"batch_{'0' * 32}"])
def test_an_unknown_batch_is_not_found(services: Services, batch_id: str) -> None:
    event = {
        **load("api_get_payment"),
        "resource": "/batches/{batch_id}",
        "pathParameters": {"batch_id": batch_id},
    }
    status, headers, body = _answered(event, services)
    assert status == 404
    assert headers["Content-Type"] == "application/problem+json"
    assert _codes(body) == {("batch_id", "not_found")}
