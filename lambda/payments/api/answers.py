"""Answers of the API: JSON, and problem details for errors (RFC 9457)."""

import json
from http import HTTPStatus
from typing import Any, Final

from payments.core.faults import FieldError

RETRY_AFTER_SECONDS: Final = 2
"""What ``Retry-After`` asks of a client when a service behind the API did not answer."""

type Response = dict[str, Any]
"""What a Lambda proxy integration returns: ``statusCode``, ``headers``, ``body``."""


def json_response(
    status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    return _response(status, "application/json", body, headers or {})


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    request_id: str,
    errors: list[FieldError],
    *,
    headers: dict[str, str] | None = None,
    **extensions: Any,
) -> Response:
    """Return an error as problem details (RFC 9457) with every fault by field.

    ``code`` ends the problem's type URI and is stable; ``extensions`` become members of their own.
    """
    body = {
        "type": f"urn:payments:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": request_id,
        "errors": [
            {"field": error.field, "code": error.code, "message": error.message} for error in errors
        ],
        **extensions,
    }
    return _response(status, "application/problem+json", body, headers or {})


def _response(
    status: HTTPStatus, content_type: str, body: dict[str, Any], headers: dict[str, str]
) -> Response:
    return {
        "statusCode": status.value,
        "headers": {
            "Content-Type": content_type,
            "Cache-Control": "no-store",
            **headers,
        },
        "body": json.dumps(body),
    }
