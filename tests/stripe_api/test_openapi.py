"""What the gateway asks and what the double answers are as Stripe's own document describes them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jsonschema_rs
import pytest

from local.stripe_double import account, double
from local.stripe_double.double import OPERATIONS, TEST_KEY, Operation, StripeDouble
from local.stripe_double.forms import Parameter
from payments.core.operation import OperationKind
from payments.gateways.port import Prepared
from payments.gateways.stripe import client, gateway, intents
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.operations import StripeOperations
from payments.gateways.stripe.wire import Answer, Request
from tests.stripe_api.__main__ import main
from tests.stripe_api.conversations import CONVERSATIONS, Caller, Unlike
from tests.stripe_api.slice import LICENCE, SLICE
from tests.unit.gateways.processors import operation_of
from tests.unit.gateways.stripe.doubled import ENVIRONMENT, InProcess, Stripe


@cache
def document() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(SLICE.read_text())
    return described


def described(operation: Operation) -> dict[str, Any]:
    """Return what Stripe's document says of an endpoint."""
    asked = operation.path.pattern.replace("([^/]+)", "{}")
    for path, methods in document()["paths"].items():
        parts = ["{}" if part.startswith("{") else part for part in path.split("/")]
        if "/".join(parts) == asked:
            found: dict[str, Any] = methods[operation.method.lower()]
            return found
    raise AssertionError(asked)


def as_json_schema(node: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: ``nullable`` becomes another type."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    schema = {name: as_json_schema(value) for name, value in node.items() if name != "nullable"}
    if node.get("nullable") is not True:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


@cache
def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """Return what checks one schema of the slice, or the body or the answer of an endpoint."""
    kind, _, key = name.partition(" ")
    if kind == "schema":
        wanted: Any = {"$ref": f"#/components/schemas/{key}"}
    else:
        [operation] = [each for each in OPERATIONS if each.name == key]
        said = described(operation)
        content = {
            "body": lambda: said["requestBody"]["content"]["application/x-www-form-urlencoded"],
            "answer": lambda: said["responses"]["200"]["content"]["application/json"],
        }[kind]()
        wanted = content["schema"]
    return jsonschema_rs.Draft202012Validator(
        as_json_schema({**wanted, "components": document()["components"]})
    )


def faults(name: str, instance: Any) -> list[str]:
    return [
        f"{'.'.join(map(str, fault.instance_path))}: {fault.message[:200]}"
        for fault in validator(name).iter_errors(instance)
    ]


def operation_of_request(request: Request) -> Operation:
    for operation in OPERATIONS:
        if operation.method == request.method and operation.path.fullmatch(request.path):
            return operation
    raise AssertionError(request)


def typed(pairs: list[tuple[str, str]], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form as Stripe reads it: nested, and with the types of the schema."""
    read: dict[str, Any] = {}
    for name, text in pairs:
        first, _, rest = name.partition("[")
        wanted = schema["properties"].get(first, {})
        if not rest:
            read[first] = scalar(text, wanted)
        elif rest == "]":
            read.setdefault(first, []).append(text)
        else:
            read.setdefault(first, {})[rest.rstrip("]")] = text
    return read


def scalar(text: str, schema: Mapping[str, Any]) -> Any:
    kinds = {each.get("type") for each in [schema, *schema.get("anyOf", [])]}
    if "integer" in kinds and text.isdigit():
        return int(text)
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    return text


def check(request: Request, answer: Answer) -> Iterator[str]:
    """Yield what is otherwise than described in a request or its answer."""
    operation = operation_of_request(request)
    if request.method == "POST" and answer.status == 200:
        content = described(operation)["requestBody"]["content"]
        schema = content["application/x-www-form-urlencoded"]["schema"]
        form = typed(parse_qsl(urlencode(request.fields)), schema)
        yield from faults(f"body {operation.name}", form)
    elif answer.status == 200:
        known = {each["name"] for each in described(operation).get("parameters", ())}
        unknown = {name.partition("[")[0] for name in request.fields} - known
        yield from (f"{operation.name} has no parameter {name}" for name in unknown)
    told = json.loads(answer.body)
    name = f"answer {operation.name}" if answer.status == 200 else "schema error"
    yield from (f"{request.path}: {fault}" for fault in faults(name, told))


def test_the_versions_of_gateway_double_and_document_are_one() -> None:
    versions = {client.API_VERSION, account.API_VERSION, document()["info"]["version"]}
    assert len(versions) == 1
    assert "Stripe, Inc." in LICENCE.read_text()


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversations_are_held_as_described(conversation: Any) -> None:
    caller = Caller(InProcess(StripeDouble()), TEST_KEY)
    conversation(caller)
    assert [fault for said in caller.said for fault in check(*said)] == []


def test_what_the_gateway_asks_is_as_described() -> None:
    stripe = Stripe()
    said: list[tuple[Request, Answer]] = []

    def noting(request: Request) -> Answer:
        answer = stripe.transport(request)
        said.append((request, answer))
        return answer

    caller = StripeClient(noting, stripe.read_key, live=False)
    charges = gateway.StripeGateway(caller, environment=ENVIRONMENT)
    operations = StripeOperations(caller, environment=ENVIRONMENT)
    for name, card, capture in (
        ("pay_1", "pm_card_visa", "automatic"),
        ("pay_2", "pm_card_visa_chargeDeclinedLostCard", "automatic"),
        ("pay_3", "pm_card_visa", "manual"),
        ("pay_4", "pm_card_visa", "manual"),
    ):
        payment = stripe.payment(name, processor_payment_method=card, capture=capture)
        prepared = charges.prepare(payment)
        assert isinstance(prepared, Prepared)
        payment = replace(payment, gateway_reference=prepared.reference)
        charges.charge(payment)
        charges.look_up(payment)
        for kind, verb in (
            (OperationKind.CAPTURE, operations.capture),
            (OperationKind.REFUND, operations.refund),
            (OperationKind.CANCEL, operations.void),
        ):
            allowed = {"pay_1": "refund", "pay_3": "capture refund", "pay_4": "cancel"}
            if kind in allowed.get(name, ""):
                operation = operation_of(payment, kind, "o1", 5000)
                verb(payment, operation)
                operations.look_up_operation(payment, operation)
    assert {operation_of_request(request).name for request, _ in said} == {
        "create",
        "confirm",
        "cancel",
        "get",
        "get_charge",
        "capture",
        "refund",
        "list_refunds",
    }
    assert [fault for each in said for fault in check(*each)] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_double_takes_no_parameter_that_stripe_does_not(operation: Operation) -> None:
    said = described(operation)
    if operation.method == "GET":
        known = {each["name"]: each["schema"] for each in said["parameters"]}
        required: list[str] = []
    else:
        schema = said["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        known, required = schema["properties"], schema.get("required", [])
    assert operation.parameters.keys() <= known.keys()
    for name, parameter in operation.parameters.items():
        assert name not in required or parameter.required
        choices = enum_of(known[name])
        if parameter.choices is not None and choices:
            assert parameter.choices <= choices


def enum_of(schema: Mapping[str, Any]) -> set[str]:
    found = set(schema.get("enum", ()))
    for each in schema.get("anyOf", ()):
        found |= set(each.get("enum", ()))
    return found


def test_statuses_and_reasons_are_stripes() -> None:
    properties = document()["components"]["schemas"]["payment_intent"]["properties"]
    assert set(account._CANCELABLE) | set(account._CONFIRMABLE) <= enum_of(properties["status"])
    assert enum_of(properties["status"]) >= gateway._OPEN
    assert intents.OUR_CANCELLATION in enum_of(properties["cancellation_reason"])


def test_what_is_not_described_is_found() -> None:
    """The check itself: a parameter, a type and a field that Stripe does not have."""
    assert faults("body create", {"amount": 1, "currency": "usd", "amout": 1})
    assert faults("body create", {"amount": "1", "currency": "usd"})
    assert faults("schema payment_intent", {"id": "pi_1", "status": "paid"})
    assert faults("schema refund", {"id": 1})


def test_an_answer_that_is_otherwise_is_told() -> None:
    broken = StripeDouble()
    broken.key = "sk_test_other"
    with pytest.raises(Unlike, match=r"POST /v1/customers answered .* 401"):
        CONVERSATIONS[0](Caller(InProcess(broken), TEST_KEY))


def test_the_command_says_whom_it_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_TEST_KEY", raising=False)
    said: list[str] = []
    assert main(said.append) == 0
    told = "".join(said)
    assert told.startswith("the double (http://127.0.0.1:")
    assert told.count("as expected") == len(CONVERSATIONS)
    assert told.endswith("Stripe itself was not asked: STRIPE_TEST_KEY is not set.\n")
    monkeypatch.setenv("STRIPE_TEST_KEY", "sk_live_1")
    with pytest.raises(SystemExit, match="no key of the test mode"):
        main(said.append)


def test_every_endpoint_of_the_double_is_described() -> None:
    assert all(described(operation) for operation in OPERATIONS)
    assert isinstance(double.OPERATIONS[0].parameters["amount"], Parameter)
