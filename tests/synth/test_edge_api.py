"""The routes; everything else is refused in the same form."""

import json
import re
from typing import Any

import pytest

from tests.synth.terraform import Resource, Stack

pytestmark = pytest.mark.xdist_group("synth")

DEPLOYED_TYPES = (
    "aws_api_gateway_gateway_response",
    "aws_api_gateway_integration",
    "aws_api_gateway_method",
    "aws_api_gateway_model",
    "aws_api_gateway_request_validator",
    "aws_api_gateway_resource",
)

INTEGRATION = "aws_api_gateway_integration"

STATUS_CODES = {
    "ACCESS_DENIED": "403",
    "API_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_FAILURE": "500",
    "BAD_REQUEST_BODY": "400",
    "BAD_REQUEST_PARAMETERS": "400",
    "DEFAULT_4XX": "403",
    "DEFAULT_5XX": "503",
    "EXPIRED_TOKEN": "403",
    "INTEGRATION_FAILURE": "503",
    "INTEGRATION_TIMEOUT": "503",
    "INVALID_API_KEY": "403",
    "INVALID_SIGNATURE": "403",
    "QUOTA_EXCEEDED": "429",
    "REQUEST_TOO_LARGE": "413",
    "RESOURCE_NOT_FOUND": "404",
    "THROTTLED": "429",
    "UNAUTHORIZED": "401",
    "UNSUPPORTED_MEDIA_TYPE": "415",
    "WAF_FILTERED": "403",
}


def path_of(stack: Stack, method: Resource) -> str:
    parts: list[str] = []
    reference = method["resource_id"]
    while not reference.endswith(".root_resource_id}"):
        (resource,) = (
            candidate
            for candidate in stack.all("aws_api_gateway_resource")
            if reference == f"${{{candidate.address}.id}}"
        )
        parts.insert(0, resource["path_part"])
        reference = resource["parent_id"]
    return "/" + "/".join(parts)


def body(response: Resource) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(response["response_templates"]["application/json"])
    return document


def test_the_routes_are_those_of_the_contract(stack: Stack) -> None:
    routes = {
        (method["http_method"], path_of(stack, method))
        for method in stack.all("aws_api_gateway_method")
    }
    assert routes == {
        ("POST", "/payments"),
        ("POST", "/payments/{payment_id}/review"),
        ("POST", "/payments/{payment_id}/refunds/{refund_id}/review"),
        ("GET", "/reviews"),
        ("GET", "/payments"),
        ("GET", "/payments/{payment_id}"),
        ("POST", "/payments/{payment_id}/refunds"),
        ("GET", "/payments/{payment_id}/refunds"),
        ("GET", "/payments/{payment_id}/refunds/{refund_id}"),
        ("POST", "/payments/{payment_id}/captures"),
        ("POST", "/payments/{payment_id}/cancel"),
        ("GET", "/batches/{batch_id}"),
    }


def test_a_request_is_refused_without_the_ids_that_its_path_names(stack: Stack) -> None:
    for method in stack.all("aws_api_gateway_method"):
        parameters = re.findall(r"\{(\w+)\}", path_of(stack, method))
        asked = method.attributes.get("request_parameters") or {}
        assert asked == {f"method.request.path.{name}": True for name in parameters}


def test_the_api_handler_answers_every_route(stack: Stack) -> None:
    alias = stack.alias("api-handler")
    answered = {integration["resource_id"] for integration in stack.all(INTEGRATION)}
    assert answered == {
        f"${{{method.address}.resource_id}}" for method in stack.all("aws_api_gateway_method")
    }
    for integration in stack.all(INTEGRATION):
        assert integration["type"] == "AWS_PROXY"
        assert integration["integration_http_method"] == "POST"
        assert integration["uri"] == f"${{{alias.address}.invoke_arn}}"


def test_only_protected_environments_demand_signatures(stack: Stack) -> None:
    expected = "AWS_IAM" if stack.protected else "NONE"
    for api_method in stack.all("aws_api_gateway_method"):
        # Without a signature, nobody knows who decides.
        decides = path_of(stack, api_method).endswith("/review")
        assert api_method["authorization"] == ("AWS_IAM" if decides else expected)


def test_api_gateway_refuses_a_body_that_is_no_json_object(stack: Stack) -> None:
    posts = [each for each in stack.all("aws_api_gateway_method") if each["http_method"] == "POST"]
    model = stack.one("aws_api_gateway_model")
    validator = stack.one("aws_api_gateway_request_validator")
    for post in posts:
        assert post["request_models"] == {"application/json": f"${{{model.address}.name}}"}
        assert post["request_validator_id"] == f"${{{validator.address}.id}}"
    assert validator["validate_request_body"] is True
    assert validator["validate_request_parameters"] is True
    assert json.loads(model["schema"])["type"] == "object"


def test_the_model_leaves_faults_of_fields_to_the_handler_which_names_all_at_once(
    stack: Stack,
) -> None:
    schema = json.loads(stack.one("aws_api_gateway_model")["schema"])
    assert set(schema) == {"$schema", "type"}


def test_every_refusal_of_api_gateway_is_a_problem_document(stack: Stack) -> None:
    for response in stack.all("aws_api_gateway_gateway_response"):
        headers = response["response_parameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        problem = body(response)
        assert problem["request_id"] == "$context.requestId"
        assert {"type", "title", "status", "detail", "errors"} <= set(problem)
        (error,) = problem["errors"]
        assert set(error) == {"field", "code", "message"}
        assert all(error.values())


def test_refusals_repeat_nothing_of_the_request_and_tell_nothing_of_the_inside(
    stack: Stack,
) -> None:
    for response in stack.all("aws_api_gateway_gateway_response"):
        template = response["response_templates"]["application/json"]
        assert template.count("$") == template.count("$context.requestId") == 1


@pytest.mark.parametrize("response_type", STATUS_CODES)
def test_refusals_have_the_status_of_the_contract(stack: Stack, response_type: str) -> None:
    response = stack.one("aws_api_gateway_gateway_response", response_type=response_type)
    assert response["status_code"] == STATUS_CODES[response_type]
    assert body(response)["status"] == int(STATUS_CODES[response_type])


def test_an_unknown_route_is_not_found_where_requests_need_no_signature(
    dev: Stack, prod: Stack
) -> None:
    """Signed APIs cannot tell an unknown route from a missing signature."""
    type_, unsigned = "aws_api_gateway_gateway_response", "MISSING_AUTHENTICATION_TOKEN"
    assert dev.one(type_, response_type=unsigned)["status_code"] == "404"
    assert prod.one(type_, response_type=unsigned)["status_code"] == "403"


def test_whoever_may_try_again_is_told_when(stack: Stack) -> None:
    for response in stack.all("aws_api_gateway_gateway_response"):
        told = "gatewayresponse.header.Retry-After" in response["response_parameters"]
        assert told is (response["status_code"] in {"429", "503"})


def test_a_deployment_waits_for_every_part_and_none_is_forgotten(stack: Stack) -> None:
    parts = {part.address for type_ in DEPLOYED_TYPES for part in stack.all(type_)}
    deployment = stack.one("aws_api_gateway_deployment")
    assert set(deployment["depends_on"]) == parts
    assert deployment["lifecycle"] == {"create_before_destroy": True}


def test_a_changed_part_makes_a_new_deployment(dev: Stack, prod: Stack) -> None:
    """The two differ in how callers are authorised, and so must their fingerprints."""
    assert (
        dev.one("aws_api_gateway_deployment")["triggers"]
        != prod.one("aws_api_gateway_deployment")["triggers"]
    )


def test_requests_are_throttled_and_traced(stack: Stack) -> None:
    settings = stack.one("aws_api_gateway_method_settings")
    assert settings["method_path"] == "*/*"
    rate = 1000 if stack.protected else 10
    assert settings["settings"]["throttling_rate_limit"] == rate
    assert settings["settings"]["throttling_burst_limit"] == 2 * rate
    assert stack.one("aws_api_gateway_stage")["xray_tracing_enabled"] is True


def test_protected_environments_log_each_request_as_json(prod: Stack) -> None:
    group = prod.one("aws_cloudwatch_log_group", name="/aws/api-gateway/payment-api-prod")
    settings = prod.one("aws_api_gateway_stage")["access_log_settings"]
    assert settings["destination_arn"] == f"${{{group.address}.arn}}"
    assert json.loads(settings["format"])["request_id"] == "$context.requestId"


def test_no_environment_owns_the_accounts_api_gateway_role(stack: Stack) -> None:
    """Destroying one environment would silence the access logs of all others."""
    assert "aws_api_gateway_account" not in stack.document["resource"]
