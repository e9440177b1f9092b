"""The OpenAPI document: valid in itself, and the truth about handler, rules and stack."""

import ast
import base64
import csv
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

import api_handler
from lib.edge.refusals import Problem, problems
from payments.api.requests import MAX_BODY_BYTES, parse_payment_json
from payments.aws.batches import BatchStore
from payments.aws.dry_runs import DryRunStore
from payments.aws.items import TIMELINE_RETENTION
from payments.aws.objects import ObjectStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import MessageQueue
from payments.batches.batch import (
    BATCH_ID,
    DRY_RUN_PREFIX,
    REFUNDS_PREFIX,
    Batch,
    BatchKind,
    ObjectVersion,
)
from payments.batches.progress import BatchStatus
from payments.batches.reports import REPORT_COLUMNS
from payments.batches.steps import BatchProcessing
from payments.core.announcements import describe
from payments.core.asking import Asked
from payments.core.clock import utc_now
from payments.core.content import Content
from payments.core.faults import InvalidRequest, ServiceUnavailable
from payments.core.fields import (
    CAPTURES,
    FIELDS,
    OPTIONAL_FIELDS,
    PAYMENT_ID,
    PROCESSOR_ID,
    check_fields,
)
from payments.core.messages import PaymentMessage, decode_message
from payments.core.money import EXPONENTS
from payments.core.operation import OperationKind, OperationRef
from payments.core.payment import Failure, PaymentStatus, RowOutcome, Transition
from payments.core.review import Person, ReviewLimits
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery
from payments.flows.intake import PaymentIntake
from payments.flows.listing import PaymentListing
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.review import RefundReviews, Reviews, WaitingList
from payments.gateways.port import CANCELLED
from payments.gateways.sandbox import DECLINED_AMOUNTS, TROUBLED_AMOUNTS
from payments.gateways.sandbox_operations import (
    CAPTURED_INSTEAD,
    REFUSED_AMOUNTS,
    TROUBLED_OPERATIONS,
)
from payments.gateways.stripe.needs import STRIPE_NEEDS
from payments.runtime.api_handler import Services
from payments.runtime.payment_processor import Deliveries
from tests.contract.contract import Contract, load
from tests.synth.terraform import Stack
from tests.unit.aws_events import load as load_event
from tests.unit.cloud import (
    TABLES,
    WITNESS,
    Cloud,
    add_due_index,
    add_indexes,
    payment_request,
    process,
)

# One worker synthesises for all of them.
synthesised = pytest.mark.xdist_group("synth")

SUBMIT, READ = "POST /payments", "GET /payments/{payment_id}"
LIST = "GET /payments"
REVIEW = "POST /payments/{payment_id}/review"
REVIEW_REFUND = "POST /payments/{payment_id}/refunds/{refund_id}/review"
LIST_REVIEWS = "GET /reviews"
READ_BATCH = "GET /batches/{batch_id}"
REFUND, READ_REFUNDS = "POST /payments/{payment_id}/refunds", "GET /payments/{payment_id}/refunds"
READ_REFUND = "GET /payments/{payment_id}/refunds/{refund_id}"
CAPTURE, CANCEL = "POST /payments/{payment_id}/captures", "POST /payments/{payment_id}/cancel"
LONGEST_LINE = 65536
SAMPLES = Path(__file__).parents[2] / "samples"
GATEWAY_PROBLEMS = sorted(
    {*problems(signed=True), *problems(signed=False)},
    key=lambda problem: (problem.response_type, problem.code),
)

# --- the document in itself


def test_the_document_is_valid_openapi_3_1(contract: Contract) -> None:
    OpenAPIV31SpecValidator(dict(contract.document)).validate()
    assert contract.document["openapi"].startswith("3.1.")


def _response_examples() -> Iterator[Any]:
    contract = load()
    for operation in contract.operations:
        for status, response in contract.responses(operation).items():
            for media_type, content in response["content"].items():
                assert content["examples"], f"{operation} {status} {media_type} has no example"
                for name, each in content["examples"].items():
                    yield pytest.param(
                        operation,
                        status,
                        {"Content-Type": media_type} | _example_headers(contract, response),
                        each["value"],
                        id=f"{operation} {status} {name}",
                    )


def _example_headers(contract: Contract, response: dict[str, Any]) -> dict[str, str]:
    headers = response.get("headers", {})
    return {name: str(contract.resolve(header)["example"]) for name, header in headers.items()}


@pytest.mark.parametrize(("operation", "status", "headers", "value"), list(_response_examples()))
def test_every_response_has_examples_that_are_as_it_says(
    contract: Contract, operation: str, status: int, headers: dict[str, str], value: Any
) -> None:
    body = json.dumps(value)
    assert not contract.answer_faults(operation, status=status, headers=headers, body=body)


def test_everything_is_described(contract: Contract) -> None:
    schemas = contract.document["components"]["schemas"]
    bare = [
        name for name, schema in schemas.items() if not {"description", "title"} & schema.keys()
    ]
    assert not bare
    assert all(contract.codes.values())


def test_answers_that_may_be_tried_again_say_when(contract: Contract) -> None:
    for operation in contract.operations:
        for status, response in contract.responses(operation).items():
            # What is under way on a payment ends shortly.
            may_wait = status == 409 and operation in {CAPTURE, CANCEL}
            told = "Retry-After" in response.get("headers", {})
            assert told is (status in {429, 503} or may_wait)


@synthesised
def test_a_client_needs_a_signature_only_where_the_environment_is_protected(
    contract: Contract, dev: Stack, prod: Stack
) -> None:
    unsigned, signed = contract.document["security"]
    assert (unsigned, signed) == ({}, {"sigv4": []})
    open_ = {
        _path_of(dev, method["resource_id"]): method["authorization"]
        for method in dev.all("aws_api_gateway_method")
    }
    # Without a signature, nobody knows who decides.
    for review in (REVIEW, REVIEW_REFUND):
        assert open_.pop(review.partition(" ")[2]) == "AWS_IAM"
        assert contract.operations[review]["security"] == [{"sigv4": []}]
    assert set(open_.values()) == {"NONE"}
    assert {method["authorization"] for method in prod.all("aws_api_gateway_method")} == {"AWS_IAM"}


# --- the document and the stack


def _path_of(stack: Stack, resource_id: str) -> str:
    for resource in stack.all("aws_api_gateway_resource"):
        if resource_id == f"${{{resource.address}.id}}":
            return f"{_path_of(stack, resource['parent_id'])}/{resource['path_part']}"
    return ""


@synthesised
def test_the_document_has_the_routes_of_the_stack_and_no_other(
    contract: Contract, stack: Stack
) -> None:
    routes = {
        f"{method['http_method']} {_path_of(stack, method['resource_id'])}"
        for method in stack.all("aws_api_gateway_method")
    }
    assert routes == set(contract.operations)


@synthesised
def test_the_servers_url_is_that_of_the_stacks_stage(contract: Contract, stack: Stack) -> None:
    (server,) = contract.document["servers"]
    # How AWS forms the URL of a stage; a custom domain would need a server of its own here.
    assert server["url"] == "https://{api_id}.execute-api.{region}.amazonaws.com/{suffix}"
    stage = stack.one("aws_api_gateway_stage")
    assert stage["stage_name"] == stack.suffix
    assert stack.document["output"]["api_url"]["value"] == f"${{{stage.address}.invoke_url}}"


@synthesised
def test_api_gateways_model_lets_every_documented_request_through(
    contract: Contract, stack: Stack
) -> None:
    model = json.loads(stack.one("aws_api_gateway_model")["schema"])
    assert set(model) == {"$schema", "type"}
    alternatives = contract.resolve("#/components/schemas/PaymentRequest")["oneOf"]
    assert {contract.resolve(each)["type"] for each in alternatives} == {model["type"]}


@pytest.mark.parametrize(
    "refusal",
    GATEWAY_PROBLEMS,
    ids=[f"{refusal.response_type} {refusal.status}" for refusal in GATEWAY_PROBLEMS],
)
def test_every_refusal_of_api_gateway_is_documented_wherever_it_may_come(
    contract: Contract, refusal: Problem
) -> None:
    prefix = "gatewayresponse.header."
    headers = {
        name.removeprefix(prefix): value.strip("'") for name, value in refusal.headers.items()
    }
    for name, operation in contract.operations.items():
        if refusal.field == "body" and "requestBody" not in operation:
            continue
        # A path without a parameter is a route or none; with one, an empty value makes it none.
        if refusal.code == "unknown_route" and "{" not in name:
            continue
        faults = contract.answer_faults(
            name, status=refusal.status, headers=headers, body=refusal.template
        )
        assert not faults, name


# --- the document and the rules


@pytest.mark.parametrize(
    ("decimals", "schema"),
    [
        (0, "CurrencyWithNoDecimals"),
        (2, "CurrencyWithTwoDecimals"),
        (3, "CurrencyWithThreeDecimals"),
        (4, "CurrencyWithFourDecimals"),
    ],
)
def test_currencies_are_those_that_can_be_paid_in(
    contract: Contract, decimals: int, schema: str
) -> None:
    expected = sorted(code for code, exponent in EXPONENTS.items() if exponent == decimals)
    assert contract.resolve(f"#/components/schemas/{schema}")["enum"] == expected


def test_no_number_of_decimals_is_forgotten(contract: Contract) -> None:
    assert set(EXPONENTS.values()) == {0, 2, 3, 4}
    assert not [
        code
        for code in EXPONENTS
        if contract.faults({"$ref": "#/components/schemas/Currency"}, code)
    ]


def test_fields_statuses_and_ids_are_those_of_the_code(contract: Contract) -> None:
    for reference in contract.resolve("#/components/schemas/PaymentRequest")["oneOf"]:
        schema = contract.resolve(reference)
        assert tuple(schema["required"]) == FIELDS
        assert tuple(schema["properties"]) == (*FIELDS, *OPTIONAL_FIELDS)
        assert schema["additionalProperties"] is False
    assert contract.resolve("#/components/schemas/Status")["enum"] == list(PaymentStatus)
    pattern = contract.resolve("#/components/schemas/PaymentId")["pattern"]
    assert pattern == f"^{PAYMENT_ID.pattern}$"
    for name in ("ProcessorCustomer", "ProcessorPaymentMethod"):
        schema = contract.resolve(f"#/components/schemas/{name}")
        assert schema["pattern"] == f"^{PROCESSOR_ID.pattern}$"
    assert contract.resolve("#/components/schemas/Capture")["enum"] == list(CAPTURES)


def test_members_statuses_and_ids_of_batches_are_those_of_the_code(contract: Contract) -> None:
    assert contract.resolve("#/components/schemas/BatchStatus")["enum"] == list(BatchStatus)
    assert contract.resolve("#/components/schemas/BatchId")["pattern"] == f"^{BATCH_ID.pattern}$"
    batch = contract.resolve("#/components/schemas/Batch")
    assert [*batch["required"], "reason"] == list(batch["properties"])
    assert set(RowOutcome) <= set(batch["required"])


def test_limits_and_reports_of_batches_are_told(contract: Contract) -> None:
    assert f"{TIMELINE_RETENTION.days} days" in contract.operations[READ_BATCH]["description"]
    assert f"`{DRY_RUN_PREFIX}`" in contract.document["info"]["description"]
    reports = contract.resolve("#/components/schemas/BatchReports")["properties"]
    rejected: str = reports["rejected"]["description"]
    assert all(f"`{column}`" in rejected for column in REPORT_COLUMNS)
    assert f"{LONGEST_LINE:,} characters" in rejected


def _documented_batches() -> dict[str, Any]:
    content = load().responses(READ_BATCH)[200]["content"]["application/json"]
    return {name: each["value"] for name, each in content["examples"].items()}


@pytest.mark.parametrize("name", _documented_batches())
def test_a_documented_batch_is_one_that_could_be(contract: Contract, name: str) -> None:
    batch = _documented_batches()[name]
    version = {part: batch[part] for part in ("bucket", "key", "version_id")}
    assert Batch(ObjectVersion(**version)).batch_id == batch["batch_id"]
    described: str = contract.document["info"]["description"]
    (recipe,) = (line for line in described.splitlines() if line.startswith("echo "))
    told = subprocess.run(
        ["sh", "-c", recipe], env={**os.environ, **version}, capture_output=True, check=True
    )
    assert told.stdout.decode().strip() == batch["batch_id"]
    assert all(f"/{batch['batch_id']}/" in uri for uri in _report_uris(batch))
    assert batch["rows"] == batch["accepted"] + batch["rejected"]
    assert batch["dry_run"] is batch["key"].startswith(DRY_RUN_PREFIX)


def test_sandbox_amounts_failures_and_limits_are_told(contract: Contract) -> None:
    text: str = contract.document["info"]["description"]
    for amount, failure in DECLINED_AMOUNTS.items():
        assert f"| {amount} | `FAILED`, `{failure.code}` |" in text
    for amount, failure in REFUSED_AMOUNTS.items():
        assert f"| {amount} | `FAILED`, `{failure.code}` |" in text
    pay = (SAMPLES.parent / "docs/pay.md").read_text()
    for amount in (*TROUBLED_AMOUNTS, *TROUBLED_OPERATIONS, CAPTURED_INSTEAD):
        assert f"| {amount} |" in text
    for amount in (*REFUSED_AMOUNTS, *TROUBLED_OPERATIONS, CAPTURED_INSTEAD):
        assert f"| `{amount}` |" in pay
    codes = {failure.code for failure in (*DECLINED_AMOUNTS.values(), CANCELLED)}
    payment = contract.resolve("#/components/schemas/Payment")
    assert set(payment["properties"]["failure_code"]["examples"]) == codes
    assert f"{MAX_BODY_BYTES // 1024} KiB" in contract.codes["too_large"]


_REQUEST = {"$ref": "#/components/schemas/PaymentRequest"}
_DIGITS = st.text("0123456789", max_size=20)
_TEXTS = st.one_of(
    st.builds(lambda whole, fraction: f"{whole}.{fraction}", _DIGITS, _DIGITS),
    _DIGITS,
    st.builds(
        lambda whole, fraction, zeros: f"{whole}.{fraction:04}{zeros}",
        st.integers(0, 10**12),
        st.integers(0, 9999),
        st.text("0", max_size=4),
    ),
    st.text("0123456789.-+eE, _१", max_size=6),
)


@settings(deadline=None, max_examples=300)
@given(_TEXTS, st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
@example("9999999999999999.99", "USD")
@example("10000000000000000", "USD")
@example("999999999999999999", "JPY")
@example("999999999999999999.0", "JPY")
@example("1000000000000000.000", "KWD")
@example("99999999999999.9999", "CLF")
@example("0.0000", "CLF")
@example("0.00010", "CLF")
@example("500.0", "JPY")
@example("1.500", "USD")
def test_the_schema_takes_the_amounts_that_the_rules_take(amount: str, currency: str) -> None:
    request = {"payment_id": "pay_1", "amount": amount, "currency": currency}
    documented = not load().faults(_REQUEST, request)
    assert documented is isinstance(check_fields("pay_1", amount, currency), Content)


# With more digits, a validator that reads numbers as floats could not tell what was written.
@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10**15 - 1), st.integers(0, 5), st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
@example(9999, 2, "USD")
@example(10**15 - 1, 2, "USD")
@example(10**15 - 1, 0, "CLF")
@example(15000, 4, "USD")
@example(5000, 1, "JPY")
def test_the_schema_takes_the_numbers_that_the_rules_take(
    digits: int, decimals: int, currency: str
) -> None:
    whole, fraction = divmod(digits, 10**decimals)
    literal = f"{whole}.{fraction:0{decimals}}" if decimals else str(whole)
    text = f'{{"payment_id":"pay_1","amount":{literal},"currency":"{currency}"}}'
    documented = not load().faults(_REQUEST, json.loads(text))
    assert documented is _is_accepted(text)


def _is_accepted(text: str) -> bool:
    try:
        parse_payment_json(text)
    except InvalidRequest:
        return False
    return True


# --- the document and the handler

type Answered = tuple[int, dict[str, Any]]
type Seen = list[tuple[str, int, dict[str, Any]]]
type Send = Callable[..., Answered]

PAYMENT = {"payment_id": "pay_1", "amount": "99.99", "currency": "USD"}


class _Broken:
    """An adapter none of whose operations succeeds."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _operation: str) -> Callable[..., Any]:
        def fail(*_arguments: Any, **_by_name: Any) -> Any:
            raise self._error

        return fail


@pytest.fixture
def seen() -> Seen:
    """Every answer of the test, with its operation."""
    return []


@pytest.fixture
def send(contract: Contract, services: Services, seen: Seen) -> Send:
    """Let the handler answer an event, and hold the answer against the document."""

    def call(operation: str, *, services: Services = services, **changes: Any) -> Answered:
        event = load_event(
            "api_post_payment" if operation.startswith("POST") else "api_get_payment"
        )
        event |= {"resource": operation.partition(" ")[2], **changes}
        answer = api_handler.answer(event, "request-1", services)
        status, body = answer["statusCode"], answer["body"]
        faults = contract.answer_faults(
            operation, status=status, headers=answer["headers"], body=body
        )
        assert not faults, f"{faults} in {body}"
        answered = status, json.loads(body)
        seen.append((operation, *answered))
        return answered

    return call


def _submit(send: Send, content: Any, **changes: Any) -> Answered:
    text = content if isinstance(content, str) else json.dumps(content)
    return send(SUBMIT, body=text, **changes)


def _read(send: Send, payment_id: str, **changes: Any) -> Answered:
    return send(READ, pathParameters={"payment_id": payment_id}, **changes)


def _signed(person: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::123456789012:user/{person}"
    return {"identity": {"user": f"AIDA{person.upper()}", "userArn": arn}}


def _decide(send: Send, payment_id: str, by: str | None, body: Any, **changes: Any) -> Answered:
    text = body if isinstance(body, str) else json.dumps(body)
    context = {"requestContext": {} if by is None else _signed(by)}
    path = {"pathParameters": {"payment_id": payment_id}}
    return send(REVIEW, body=text, **path, **context, **changes)


def _decide_refund(
    send: Send, refund_id: str, by: str | None, body: Any, payment_id: str = "pay_1", **changes: Any
) -> Answered:
    text = body if isinstance(body, str) else json.dumps(body)
    context = {"requestContext": {} if by is None else _signed(by)}
    path = {"pathParameters": {"payment_id": payment_id, "refund_id": refund_id}}
    return send(REVIEW_REFUND, body=text, **path, **context, **changes)


def _list(send: Send, **changes: Any) -> Answered:
    return send(LIST, **changes)


def _operate(
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


def _read_refund(send: Send, refund_id: str, payment_id: str = "pay_1", **changes: Any) -> Answered:
    parameters = {"payment_id": payment_id, "refund_id": refund_id}
    return send(READ_REFUND, pathParameters=parameters, **changes)


def _read_batch(send: Send, batch_id: str, **changes: Any) -> Answered:
    return send(READ_BATCH, pathParameters={"batch_id": batch_id}, **changes)


def _report_uris(batch: dict[str, Any]) -> list[str]:
    reports = batch["reports"]
    return [uri for uri in (reports["summary"], *reports["rejected"], *reports["not_paid"]) if uri]


def _report(cloud: Cloud, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8-sig")


FAULTY_PARAMETERS = [
    ("limit", "0"),
    ("limit", "101"),
    ("limit", "1e1"),
    ("cursor", "x"),
    ("cursor", ""),
    ("status", "completed"),
    ("currency", "usd"),
    ("created_from", "yesterday"),
    ("created_to", "2026-02-30T00:00:00Z"),
    ("batch_id", "batch_1"),
    ("offset", "10"),
]

INVALID_BODIES = [
    "",
    "{",
    "[]",
    "null",
    '{"a":' + "[" * 8000 + "]" * 8000 + "}",
    "{}",
    '{"payment_id": "a", "payment_id": "b", "amount": 1, "currency": "USD"}',
    {"payment_id": 1, "amount": True, "currency": None, "note": "x" * 100, "y" * 100: 1},
    {"payment_id": "a b", "amount": "1e2", "currency": "usd"},
    {**PAYMENT, "processor_customer": "a b", "processor_payment_method": "4242 4242 4242 4242"},
    {**PAYMENT, "capture": "later"},
    *(
        {**PAYMENT, "amount": amount}
        for amount in (0, -1, "0.001", "0.0001", "1" * 19, "9" * 17, "١", "1,000", " 1", 1e300)
    ),
]


def _put_in_review(store: PaymentStore) -> None:
    """Let a payment of Alice's wait for a decision."""
    request = replace(
        payment_request("pay_large"), submitter=Person("AIDAALICE", "alice"), needs_review=True
    )
    payment, _ = store.create(request, actor="api", at=utc_now())
    moved = Transition(to=PaymentStatus.IN_REVIEW, at=utc_now(), actor="test", request_id="r")
    store.transition(payment, moved)


APPROVE = {"decision": "approve", "note": "agreed"}


def _decide_in_every_way(send: Send, store: PaymentStore) -> None:
    _put_in_review(store)
    assert _decide(send, "pay_large", None, APPROVE)[0] == 403
    assert _decide(send, "pay_large", "alice", APPROVE)[0] == 403
    assert _decide(send, "pay_1", "bob", APPROVE)[0] == 409
    assert _decide(send, "pay_none", "bob", APPROVE)[0] == 404
    for faulty in ("{", {}, {"decision": "pay", "note": ""}, {**APPROVE, "note": "a\nb", "x": 1}):
        assert _decide(send, "pay_large", "bob", faulty)[0] == 400
    plain = {"Content-Type": "text/plain"}
    assert _decide(send, "pay_large", "bob", APPROVE, headers=plain)[0] == 415
    assert _decide(send, "pay_large", "bob", " " * (MAX_BODY_BYTES + 1))[0] == 413
    assert _decide(send, "pay_large", "bob", APPROVE)[0] == 200
    assert _decide(send, "pay_large", "bob", APPROVE)[0] == 200
    assert _decide(send, "pay_large", "carol", APPROVE)[0] == 409


def _decide_about_refunds_in_every_way(send: Send, services: Services) -> None:
    """Decide about two refunds of pay_7 that Alice asked for."""
    limits = ReviewLimits.read("USD=20.00")
    careful = OperationIntake(
        services.operations._store,
        services.operations._operations,
        services.operations._queue,
        limits=limits,
    )
    alice = Person("AIDAALICE", "alice")
    for refund_id in ("held", "no"):
        asked = Asked(
            kind=OperationKind.REFUND,
            payment_id="pay_7",
            operation_id=refund_id,
            source="api",
            correlation_id="request-1",
            amount="20.01",
            reason="returned",
            submitter=alice,
        )
        assert careful.refund(asked)[0].status == "IN_REVIEW"
    told = send(LIST_REVIEWS)[1]["data"]
    assert [each.get("refund_id") for each in told] == ["held", "no"]
    assert (told[0]["reason"], told[0]["submitted_by"]) == ("returned", "alice")

    def decide(refund_id: str, by: str | None, body: Any = APPROVE, **changes: Any) -> int:
        return _decide_refund(send, refund_id, by, body, "pay_7", **changes)[0]

    assert decide("held", None) == 403
    assert decide("held", "alice") == 403
    for payment_id, refund_id in (("pay_7", "none"), ("pay_7", ""), ("pay_none", "held")):
        assert _decide_refund(send, refund_id, "bob", APPROVE, payment_id)[0] == 404
    for faulty in ("{", {}, {"decision": "pay", "note": ""}):
        assert decide("held", "bob", faulty) == 400
    assert decide("held", "bob", headers={"Content-Type": "text/plain"}) == 415
    assert decide("held", "bob", " " * (MAX_BODY_BYTES + 1)) == 413
    assert decide("held", "bob") == 200
    assert decide("held", "bob") == 200
    assert decide("held", "carol") == 409
    assert _decide_refund(send, "r1", "bob", APPROVE)[0] == 409
    assert decide("no", "bob", {**APPROVE, "decision": "reject"}) == 200
    assert send(LIST_REVIEWS)[1]["data"] == []


def test_every_answer_of_the_handler_is_documented_and_every_documented_answer_is_given(  # noqa: PLR0913, PLR0917 - fixtures
    contract: Contract,
    send: Send,
    seen: Seen,
    batches: BatchProcessing,
    cloud: Cloud,
    store: PaymentStore,
    charging: Charging,
    performing: Performing,
    services: Services,
) -> None:
    assert _submit(send, PAYMENT)[0] == 202
    assert _submit(send, PAYMENT)[0] == 200
    assert _submit(send, {**PAYMENT, "amount": 1})[0] == 409
    asked = {**PAYMENT, "payment_id": "pay_2", "processor_customer": "cus_1", "capture": "manual"}
    assert _submit(send, asked)[0] == 202
    assert _read(send, "pay_2")[1]["processor_customer"] == "cus_1"
    assert _submit(send, {**asked, "capture": "automatic"})[0] == 409
    assert _read(send, "pay_1")[0] == 200
    assert _read(send, "pay_none")[0] == 404
    add_indexes(cloud.dynamodb, TABLES.payments)
    add_due_index(cloud.dynamodb)
    assert {each["payment_id"] for each in _list(send)[1]["data"]} == {"pay_1", "pay_2"}
    for name, value in FAULTY_PARAMETERS:
        assert send(LIST, multiValueQueryStringParameters={name: [value]})[0] == 400
    batch = cloud.upload(b"payment_id,amount,currency\n")
    assert _read_batch(send, batch.batch_id)[0] == 404
    process(batches, batch, 0)
    assert _read_batch(send, batch.batch_id)[0] == 200
    _operations_are_answered_as_documented(send, store, charging, performing)
    for unknown in ("", "batch_none", batch.batch_id.upper(), f"{batch.batch_id}0"):
        assert _read_batch(send, unknown)[0] == 404
    _decide_about_refunds_in_every_way(send, services)
    _decide_in_every_way(send, store)
    for body in INVALID_BODIES:
        assert _submit(send, body)[0] == 400
    intake = PaymentIntake(store, services.intake._queue, needs=STRIPE_NEEDS)
    needy = replace(services, intake=intake)
    ids = {"processor_customer": "cus_1", "processor_payment_method": "pm_1"}
    for unfit in ({"currency": "CLF"}, {"currency": "KWD", "amount": 5.124}, {"capture": "x"}):
        assert _submit(send, {**PAYMENT, **ids, **unfit}, services=needy)[0] == 400
    encoded = base64.b64encode(b"\xff").decode()
    assert send(SUBMIT, body=encoded, isBase64Encoded=True)[0] == 400
    assert _submit(send, PAYMENT, headers={"Content-Type": "text/plain"})[0] == 415
    assert _submit(send, " " * (MAX_BODY_BYTES + 1))[0] == 413
    for error, status in ((ServiceUnavailable(), 503), (RuntimeError(), 500)):
        broken: Any = _Broken(error)
        without = Services(
            intake=PaymentIntake(broken, broken),
            operations=OperationIntake(broken, broken, broken),
            listing=PaymentListing(broken, broken),
            batches=broken,
            reviews=Reviews(broken, broken),
            refund_reviews=RefundReviews(broken, broken, broken),
            waiting=WaitingList(broken, broken, broken),
        )
        assert _submit(send, PAYMENT, services=without)[0] == status
        assert _read(send, "pay_1", services=without)[0] == status
        assert _list(send, services=without)[0] == status
        for operation, body in (
            (REFUND, {"refund_id": "r1"}),
            (CAPTURE, {"capture_id": "c1"}),
            (CANCEL, {}),
        ):
            assert _operate(send, operation, body, services=without)[0] == status
        assert _operate(send, READ_REFUNDS, services=without)[0] == status
        assert _read_refund(send, "r1", services=without)[0] == status
        assert _decide(send, "pay_large", "bob", APPROVE, services=without)[0] == status
        assert _decide_refund(send, "r1", "bob", APPROVE, services=without)[0] == status
        assert send(LIST_REVIEWS, services=without)[0] == status
        assert _read_batch(send, batch.batch_id, services=without)[0] == status

    refusals = {*problems(signed=True), *problems(signed=False)}
    answers = {
        (operation, status, body["type"] if status >= 400 else "")
        for operation, status, body in seen
    } | {
        (operation, refusal.status, "about:blank")
        for operation in contract.operations
        for refusal in refusals
        if refusal.status in contract.responses(operation)
    }
    documented = {
        answer for operation in contract.operations for answer in contract.answers(operation)
    }
    assert answers == documented
    codes = {error["code"] for _, _, body in seen for error in body.get("errors", ())}
    assert codes | {refusal.code for refusal in refusals} == set(contract.codes)


def _operations_are_answered_as_documented(
    send: Send, store: PaymentStore, charging: Charging, performing: Performing
) -> None:
    """Walk every answer of the routes of operations."""
    refund = {"refund_id": "r1", "amount": "60.00", "reason": "requested_by_customer"}
    assert _operate(send, REFUND, refund, "pay_none")[0] == 404
    assert _operate(send, REFUND, refund)[0] == 409
    charging.charge_by_id("pay_1", WITNESS)
    assert _operate(send, REFUND, refund)[0] == 202
    assert _operate(send, REFUND, refund)[0] == 200
    assert _operate(send, REFUND, {**refund, "amount": 1})[0] == 409
    assert _operate(send, REFUND, {**refund, "refund_id": "r2"})[0] == 409
    assert _operate(send, REFUND, {"refund_id": "r3"})[0] == 202
    assert _operate(send, REFUND, {"refund_id": "r4"})[0] == 409
    performing.perform(OperationRef("pay_1", OperationKind.REFUND, "r1"), WITNESS)
    assert _read_refund(send, "r1")[1]["status"] == "COMPLETED"
    for payment_id, refund_id in (("pay_none", "r1"), ("pay_1", "r9"), ("pay_1", "")):
        assert _read_refund(send, refund_id, payment_id)[0] == 404
    assert len(_operate(send, READ_REFUNDS)[1]["data"]) == 2
    assert _operate(send, READ_REFUNDS, payment_id="pay_none")[0] == 404
    told = _read(send, "pay_1")[1]
    assert told["amounts"]["refunded"] == "60.00"
    assert len(told["operations"]) == 2
    for operation in (CAPTURE, CANCEL):
        body = {"capture_id": "c1"} if operation == CAPTURE else {}
        assert _operate(send, operation, body, "pay_none")[0] == 404
        assert _operate(send, operation, body)[0] == 409
    for number in (3, 4, 5, 6):
        asked = {**PAYMENT, "payment_id": f"pay_{number}", "capture": "manual"}
        assert _submit(send, asked)[0] == 202
    # Cancelled before it was charged, and while it is charged.
    assert _operate(send, CANCEL, {"reason": "abandoned"}, "pay_3")[0] == 200
    assert _operate(send, CANCEL, {}, "pay_3")[0] == 200
    bound = store.get("pay_4")
    assert bound is not None
    to_processing = Transition(
        to=PaymentStatus.PROCESSING, at=utc_now(), actor="test", request_id="request-1"
    )
    store.transition(bound, to_processing)
    assert _operate(send, CANCEL, {}, "pay_4")[0] == 409
    assert _submit(send, {**PAYMENT, "payment_id": "pay_7"})[0] == 202
    for payment_id in ("pay_5", "pay_6", "pay_7"):
        charging.charge_by_id(payment_id, WITNESS)
    assert "capture_before" in _read(send, "pay_5")[1]
    capture = {"capture_id": "c1", "amount": "40.00", "final": False}
    assert _operate(send, CAPTURE, {**capture, "amount": 100}, "pay_5")[0] == 409
    assert _operate(send, CAPTURE, capture, "pay_5")[0] == 202
    assert _operate(send, CAPTURE, capture, "pay_5")[0] == 200
    assert _operate(send, CAPTURE, {"capture_id": "c1"}, "pay_5")[0] == 409
    assert _operate(send, CAPTURE, {"capture_id": "c2"}, "pay_5")[0] == 409
    assert _operate(send, CANCEL, {}, "pay_5")[0] == 409
    assert _operate(send, CANCEL, {}, "pay_6")[0] == 202
    assert _operate(send, CAPTURE, {"capture_id": "c1"}, "pay_6")[0] == 409
    for operation in (REFUND, CAPTURE, CANCEL):
        for bad in ("", "[]", {"note": 1}, {"amount": True, "reason": "", "final": 1}):
            assert _operate(send, operation, bad)[0] == 400
        assert _operate(send, operation, {}, headers={"Content-Type": "text/plain"})[0] == 415
        assert _operate(send, operation, " " * (MAX_BODY_BYTES + 1))[0] == 413
    for bad_id in ("a b", 1):
        assert _operate(send, REFUND, {"refund_id": bad_id})[0] == 400
    assert _operate(send, REFUND, {"refund_id": "r9", "amount": "0.001"})[0] == 400


def test_a_payment_is_as_documented_in_every_status(send: Send, store: PaymentStore) -> None:
    _submit(send, PAYMENT)
    failure = Failure("card_declined", "The card issuer declined the charge.")
    for to in (PaymentStatus.PROCESSING, PaymentStatus.FAILED):
        payment = store.get("pay_1")
        assert payment is not None
        store.transition(
            payment,
            Transition(
                to=to,
                at=utc_now(),
                actor="test",
                request_id="request-1",
                failure=failure if to is PaymentStatus.FAILED else None,
            ),
        )
        assert _read(send, "pay_1")[1]["status"] == to
    assert _submit(send, PAYMENT)[1]["failure_code"] == "card_declined"
    assert _submit(send, {**PAYMENT, "currency": "EUR"})[1]["payment"]["status"] == "FAILED"


@pytest.mark.parametrize("currency", ["JPY", "USD", "KWD", "CLF"])
@pytest.mark.parametrize("amount_minor", [1, 10, 12345, 10**18 - 1])
def test_a_payment_of_any_amount_is_as_documented(
    contract: Contract, store: PaymentStore, currency: str, amount_minor: int
) -> None:
    request = payment_request("pay_1", amount_minor, currency)
    payment, _ = store.create(request, actor="api", at=utc_now())
    schema = {"$ref": "#/components/schemas/Payment"}
    assert not contract.faults(schema, describe(payment))


REFUSED_FILES = {
    "empty_file": b"\n",
    "not_utf8": "payment_id,amount,currency\n".encode("utf-16"),
    "no_header": b'payment_id,"amount,currency\n',
    "missing_column": b"payment_id,amount\n",
    "repeated_column": b"payment_id,amount,currency,amount\n",
    "unclosed_quote": b'payment_id,amount,currency\npay_1,1.00,"USD\n',
}


@contextmanager
def refused_by_s3(cloud: Cloud, code: str) -> Iterator[None]:
    """Let S3 refuse every read meanwhile."""

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}}, "GetObject")

    events = cloud.s3.meta.events
    events.register("before-call.s3.GetObject", refuse)
    try:
        yield
    finally:
        events.unregister("before-call.s3.GetObject", refuse)


def test_a_batch_is_as_documented_in_every_status_and_for_every_reason(
    contract: Contract, send: Send, seen: Seen, batches: BatchProcessing, cloud: Cloud
) -> None:
    rows = b"payment_id,amount,currency\npay_1,1.00,USD\npay 2,1.00,USD\n"
    reasons = {}
    for code, content in REFUSED_FILES.items():
        refused = cloud.upload(content)
        process(batches, refused, len(content))
        reasons[code] = refused, BatchStatus.REFUSED
    gone = cloud.upload(rows)
    cloud.s3.delete_object(Bucket="files", Key=gone.source.key, VersionId=gone.source.version_id)
    process(batches, gone, len(rows))
    reasons["file_gone"] = gone, BatchStatus.REFUSED
    sheet = cloud.upload(rows, "payments.xlsx")
    process(batches, sheet, len(rows))
    reasons["not_csv"] = sheet, BatchStatus.REFUSED
    for code, error in (("not_readable", "AccessDenied"), ("archived", "InvalidObjectState")):
        kept = cloud.upload(rows)
        with refused_by_s3(cloud, error):
            process(batches, kept, len(rows))
        reasons[code] = kept, BatchStatus.REFUSED
    broken = cloud.upload(rows)
    batches.plan(broken, len(rows))
    assert _read_batch(send, broken.batch_id)[1]["rows"] == 0
    batches.fail(broken)
    reasons["processing_failed"] = broken, BatchStatus.FAILED
    for code, (batch, status) in reasons.items():
        body = _read_batch(send, batch.batch_id)[1]
        assert (body["reason"]["code"], body["status"]) == (code, status)
        if status is BatchStatus.FAILED:
            assert body["reports"]["summary"] is None
        else:
            assert json.loads(_report(cloud, body["reports"]["summary"])) == body
    assert set(reasons) == set(contract.reasons)

    for key, status in (
        ("größe + 100%.csv", BatchStatus.PROCESSING),
        (f"{DRY_RUN_PREFIX}a.csv", BatchStatus.COMPLETED),
    ):
        batch = cloud.upload(rows, key)
        process(batches, batch, len(rows))
        body = _read_batch(send, batch.batch_id)[1]
        assert (body["key"], body["status"]) == (key, status)
    assert {body["status"] for _, _, body in seen} == set(BatchStatus)
    members = contract.resolve("#/components/schemas/Batch")["properties"]
    assert {member for _, _, body in seen for member in body} == set(members)


def test_sums_of_any_size_and_currency_are_as_documented(
    send: Send, batches: BatchProcessing, cloud: Cloud
) -> None:
    largest = {"JPY": 18, "USD": 16, "KWD": 15, "CLF": 14}
    rows = [
        f"{currency}_{number},{'9' * digits},{currency}\n"
        for currency, digits in largest.items()
        for number in range(20)
    ]
    rows += [
        f"{currency}_1,0.{'1'.rjust(EXPONENTS[currency], '0')},{currency}\n"
        for currency in ("EUR", "TND", "UYW")
    ]
    content = "".join(["payment_id,amount,currency\n", *rows]).encode()
    batch = cloud.upload(content)
    process(batches, batch, len(content))
    body = _read_batch(send, batch.batch_id)[1]
    assert body["rejected"] == 0
    assert set(body["accepted_amounts"]) == {*largest, "EUR", "TND", "UYW"}
    assert body["accepted_amounts"]["KWD"] == f"1{'9' * 14}80.000"


def test_a_line_may_be_as_long_as_is_told(
    send: Send, batches: BatchProcessing, cloud: Cloud
) -> None:
    row = "pay_1,1.00,USD,".ljust(LONGEST_LINE, "x")
    content = f"payment_id,amount,currency,note\n{row}\n{row}x\n".encode()
    batch = cloud.upload(content)
    process(batches, batch, len(content))
    body = _read_batch(send, batch.batch_id)[1]
    assert (body["accepted"], body["rejected"]) == (1, 1)
    (report,) = body["reports"]["rejected"]
    (rejected,) = csv.DictReader(io.StringIO(_report(cloud, report)))
    assert rejected["[rejected line]"] == "3"
    assert rejected["[rejected code]"] == "line_too_long"


def test_the_sample_becomes_the_documented_batch_and_its_reports(
    contract: Contract,
    send: Send,
    cloud: Cloud,
    delivery: Delivery,
    objects: ObjectStore,
    rows: MessageQueue,
    batch_store: BatchStore,
    dry_runs: DryRunStore,
) -> None:
    _submit(send, {"payment_id": "pay_105", "amount": 1000, "currency": "JPY"})
    expected = _documented_batches()["completed"]
    content = (SAMPLES / expected["key"]).read_bytes()
    batch = cloud.upload(content, expected["key"])
    batches = BatchProcessing(objects, rows, batch_store, dry_runs, "results")
    process(batches, batch, len(content))
    for message in cloud.messages():
        read = decode_message(message["Body"])
        assert isinstance(read, PaymentMessage)
        delivery.deliver(read, WITNESS, is_first=True)
    assert batches.follow(batch, 2)["settled"] is True
    body = _read_batch(send, batch.batch_id)[1]
    varying = ("bucket", "version_id", "batch_id", "created_at", "updated_at", "reports")
    assert {**body, **{name: expected[name] for name in varying}} == expected
    names = [
        [uri.rpartition("/")[2] for uri in _report_uris(answer)] for answer in (body, expected)
    ]
    assert names[0] == names[1]
    assert sum(body[outcome] for outcome in RowOutcome) == body["accepted"]

    assert json.loads(_report(cloud, body["reports"]["summary"])) == body
    described = contract.resolve("#/components/schemas/BatchReports")["properties"]
    (rejected,), (not_paid,) = body["reports"]["rejected"], body["reports"]["not_paid"]
    faulty = list(csv.DictReader(io.StringIO(_report(cloud, rejected))))
    assert len(faulty) == body["rejected"]
    assert all(set(row["[rejected code]"].split("; ")) <= set(contract.codes) for row in faulty)
    (row,) = csv.DictReader(io.StringIO(_report(cloud, not_paid)))
    assert all(f"`{column}`" in described["not_paid"]["description"] for column in row)
    assert f"`{row['[not paid outcome]']}`" in described["not_paid"]["description"]


def test_a_file_of_refunds_is_answered_and_reported_as_documented(
    contract: Contract,
    send: Send,
    batches: BatchProcessing,
    deliveries: Deliveries,
    cloud: Cloud,
) -> None:
    _submit(send, {"payment_id": "pay_1", "amount": "10.00", "currency": "USD"})
    for message in cloud.messages():
        deliveries.deliver(decode_message(message["Body"]), WITNESS, is_first=True)
    rows = b"payment_id,refund_id,amount,reason\npay_1,r1,6.00,a\npay_1,r2,6.00,b\npay_2,r1,1,\n"
    batch = cloud.upload(rows, f"{REFUNDS_PREFIX}a.csv")
    process(batches, batch, len(rows))
    for message in cloud.messages():
        deliveries.deliver(decode_message(message["Body"]), WITNESS, is_first=True)
    assert batches.follow(batch, 2)["settled"] is True
    body = _read_batch(send, batch.batch_id)[1]
    assert (body["kind"], body["completed"], body["refused"]) == ("refunds", 1, 2)
    assert body["accepted_amounts"] == {"USD": "6.00"}
    described = contract.resolve("#/components/schemas/BatchReports")["properties"]["not_paid"]
    (report,) = body["reports"]["not_paid"]
    told = list(csv.DictReader(io.StringIO(_report(cloud, report))))
    ours = {column for column in told[0] if column.startswith("[")}
    assert all(f"`{column}`" in described["description"] for column in ours)
    codes = {row["[not paid code]"] for row in told}
    assert codes == {"exceeds_refundable", "payment_not_found"}
    assert codes - set(contract.codes) == {"payment_not_found"}
    assert f"`{REFUNDS_PREFIX}`" in contract.document["info"]["description"]
    assert contract.resolve("#/components/schemas/Batch")["properties"]["kind"]["enum"] == list(
        BatchKind
    )


def test_documented_requests_are_accepted(contract: Contract, send: Send) -> None:
    content = contract.operations[SUBMIT]["requestBody"]["content"]
    assert set(content) == {"application/json"}
    for name, each in content["application/json"]["examples"].items():
        assert not contract.faults(_REQUEST, each["value"]), name
        assert _submit(send, each["value"])[0] == 202, name


SOURCES = Path(api_handler.__file__).parent


def test_every_code_in_the_source_is_documented(contract: Contract) -> None:
    sources = [
        "api_handler.py",
        "payments/api/*.py",
        "payments/core/money.py",
        "payments/core/fields.py",
    ]
    codes = {code for source in sources for code in _codes(source, "FieldError", argument=1)}
    assert codes
    assert codes <= set(contract.codes)


def test_every_code_of_a_batch_in_the_source_is_documented(contract: Contract) -> None:
    reasons = {
        *_codes("payments/*/*.py", "UnreadableFile", "_refuse", argument=0),
        *_values("payments/batches/*.py", "reason_code"),
    }
    assert reasons == set(contract.reasons)
    reports = contract.resolve("#/components/schemas/BatchReports")["properties"]
    codes = set(_codes("payments/batches/*.py", "FieldError", argument=1))
    assert codes
    assert all(f"`{code}`" in reports["rejected"]["description"] for code in codes)


def _nodes(sources: str) -> Iterator[ast.AST]:
    """Yield the syntax nodes of every file that a pattern names; it must name one."""
    files = sorted(SOURCES.glob(sources))
    assert files, sources
    for file in files:
        yield from ast.walk(ast.parse(file.read_text()))


def _codes(sources: str, *makers: str, argument: int) -> Iterator[str]:
    """Yield the literals that are this argument of calls of functions or methods by name."""
    for node in _nodes(sources):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name in makers and isinstance(node.args[argument], ast.Constant):
                yield ast.literal_eval(node.args[argument])


def _values(sources: str, key: str) -> Iterator[str]:
    """Yield the literals that stand under a key in dictionaries."""
    for node in _nodes(sources):
        if isinstance(node, ast.Dict):
            for name, value in zip(node.keys, node.values, strict=True):
                names_key = isinstance(name, ast.Constant) and name.value == key
                if names_key and isinstance(value, ast.Constant):
                    yield ast.literal_eval(value)
