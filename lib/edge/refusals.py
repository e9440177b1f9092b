"""What API Gateway itself answers when it refuses a request: RFC 9457 problem details."""

from dataclasses import dataclass
from typing import Final

from lib.kit.iam import compact_json

RETRY_AFTER_SECONDS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of refusal."""

    response_type: str
    status: int
    title: str
    code: str
    message: str
    field: str = "request"
    may_retry: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers, as API Gateway maps them: literals stand in single quotes."""
        headers = {"gatewayresponse.header.Content-Type": "'application/problem+json'"}
        if self.may_retry:
            headers["gatewayresponse.header.Retry-After"] = f"'{RETRY_AFTER_SECONDS}'"
        return headers

    @property
    def template(self) -> str:
        """The answer's body. Only the request id varies, so nothing of the request comes back."""
        return compact_json(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "detail": self.message,
                "request_id": "$context.requestId",
                "errors": [{"field": self.field, "code": self.code, "message": self.message}],
            }
        )


_UNSIGNED = "The request must be signed (AWS Signature Version 4) by somebody who may call the API."


def problems(*, signed: bool) -> tuple[Problem, ...]:
    """Return every refusal; ``signed`` says whether the API demands signatures.

    See https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """
    return (
        Problem(
            response_type="BAD_REQUEST_BODY",
            status=400,
            title="Bad Request",
            field="body",
            code="invalid_body",
            message="The body must be a JSON object.",
        ),
        Problem(
            response_type="BAD_REQUEST_PARAMETERS",
            status=400,
            title="Bad Request",
            code="invalid_parameters",
            message="A parameter of the request is missing or malformed.",
        ),
        _forbidden("ACCESS_DENIED", "access_denied", "The caller may not do this."),
        _forbidden("EXPIRED_TOKEN", "expired_token", "The caller's credentials have expired."),
        _forbidden("INVALID_API_KEY", "invalid_api_key", "The API key is not valid."),
        _forbidden("INVALID_SIGNATURE", "invalid_signature", "The signature is not valid."),
        _forbidden("WAF_FILTERED", "filtered", "The request was refused by a firewall rule."),
        # API Gateway answers like this to a missing signature and to an unknown route alike.
        _forbidden("MISSING_AUTHENTICATION_TOKEN", "unsigned_or_unknown_route", _UNSIGNED)
        if signed
        else _not_found("MISSING_AUTHENTICATION_TOKEN"),
        _not_found("RESOURCE_NOT_FOUND"),
        Problem(
            response_type="UNAUTHORIZED",
            status=401,
            title="Unauthorized",
            code="unauthorized",
            message=_UNSIGNED,
        ),
        Problem(
            response_type="REQUEST_TOO_LARGE",
            status=413,
            title="Content Too Large",
            field="body",
            code="too_large",
            message="The request is larger than 10 MB.",
        ),
        Problem(
            response_type="UNSUPPORTED_MEDIA_TYPE",
            status=415,
            title="Unsupported Media Type",
            field="body",
            code="unsupported_media_type",
            message="The body must be sent as application/json.",
        ),
        _too_many("THROTTLED", "throttled", "There are too many requests at the moment."),
        _too_many("QUOTA_EXCEEDED", "quota_exceeded", "The quota of requests is used up."),
        _unavailable("INTEGRATION_FAILURE"),
        _unavailable("INTEGRATION_TIMEOUT"),
        _our_fault("API_CONFIGURATION_ERROR"),
        _our_fault("AUTHORIZER_CONFIGURATION_ERROR"),
        _our_fault("AUTHORIZER_FAILURE"),
        # What is left is about credentials; a body can only name a status that is fixed here.
        _forbidden("DEFAULT_4XX", "refused", "The request was refused."),
        # A function that crashed or ran out of time: the same payment can be sent again.
        _unavailable("DEFAULT_5XX"),
    )


def _forbidden(response_type: str, code: str, message: str) -> Problem:
    return Problem(
        response_type=response_type, status=403, title="Forbidden", code=code, message=message
    )


def _not_found(response_type: str) -> Problem:
    return Problem(
        response_type=response_type,
        status=404,
        title="Not Found",
        code="unknown_route",
        message="There is no such route. The contract of this API, openapi.yaml, has all of them.",
    )


def _too_many(response_type: str, code: str, message: str) -> Problem:
    return Problem(
        response_type=response_type,
        status=429,
        title="Too Many Requests",
        code=code,
        message=f"{message} Send the same request again later.",
        may_retry=True,
    )


def _unavailable(response_type: str) -> Problem:
    return Problem(
        response_type=response_type,
        status=503,
        title="Service Unavailable",
        code="unavailable",
        message="No answer was available in time. Send the same request again.",
        may_retry=True,
    )


def _our_fault(response_type: str) -> Problem:
    return Problem(
        response_type=response_type,
        status=500,
        title="Internal Server Error",
        code="internal_error",
        message="The request could not be handled.",
    )
