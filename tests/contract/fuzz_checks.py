"""What schemathesis checks of every answer beside its own checks."""

import json
from http import HTTPStatus
from typing import Any

import schemathesis
from schemathesis.core.transport import Response

from tests.contract.contract import load

PROBLEM = {"$ref": "#/components/schemas/Problem"}


@schemathesis.check
def every_error_is_a_problem(
    _ctx: schemathesis.CheckContext, response: Response, _case: schemathesis.Case[Any]
) -> None:
    """Errors are problem documents, those to requests that no operation describes included."""
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return
    assert response.headers["content-type"] == ["application/problem+json"]
    problem = json.loads(response.content)
    assert problem["status"] == response.status_code
    faults = load().faults(PROBLEM, problem)
    assert not faults, faults


@schemathesis.check
def an_unknown_method_is_not_found(
    _ctx: schemathesis.CheckContext, response: Response, case: schemathesis.Case[Any]
) -> None:
    """A method that a path does not have is refused as an unknown route."""
    documented = load().document["paths"][case.operation.path]
    if str(response.request.method).lower() in documented:
        return
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert [error["code"] for error in json.loads(response.content)["errors"]] == ["unknown_route"]
