"""The OpenAPI document: valid in itself, and the truth about the stack."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from lib.edge.refusals import Problem, problems
from tests.contract.asking import CANCEL, CAPTURE, REVIEW, REVIEW_REFUND
from tests.contract.contract import Contract, load
from tests.synth.terraform import Stack

# One worker synthesises for all of them.
synthesised = pytest.mark.xdist_group("synth")
GATEWAY_PROBLEMS = sorted(
    {*problems(signed=True), *problems(signed=False)},
    key=lambda problem: (problem.response_type, problem.code),
)


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
