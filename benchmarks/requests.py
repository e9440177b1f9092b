"""Our own time in one accepted API payment, beside the usual Powertools resolver and parser.

AWS calls are stubbed on both sides alike, and what Powertools does around a handler for logs and
metrics, the same on both sides, is left out: what is measured is routing and reading the request,
checking it, making the payment and its answer.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from inspect import unwrap
from types import SimpleNamespace
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.measurement import REPOSITORY, Measurement, interleaved_seconds

REQUESTS = 500
RUNS = 7

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "bench")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "bench")

from aws_lambda_powertools import Logger, Metrics  # noqa: E402 - they read what is set above
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response  # noqa: E402
from aws_lambda_powertools.utilities.parser import parse  # noqa: E402
from aws_lambda_powertools.utilities.parser.envelopes import ApiGatewayEnvelope  # noqa: E402

import api_handler  # noqa: E402
from payments.core.announcements import describe  # noqa: E402
from payments.core.clock import utc_now  # noqa: E402
from payments.core.content import Content  # noqa: E402
from payments.core.fields import FIELDS  # noqa: E402
from payments.core.money import EXPONENTS  # noqa: E402
from payments.core.payment import Payment, PaymentRequest, PaymentStatus  # noqa: E402
from payments.runtime import api_handler as runtime  # noqa: E402

_EVENT: dict[str, Any] = json.loads((REPOSITORY / "tests/events/api_post_payment.json").read_text())
_CONTEXT: Any = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:us-east-1:1:function:bench",
    aws_request_id="bench",
)


class _Intake:
    """Accepts everything at once: DynamoDB and SQS, without the time that they take."""

    def submit(self, request: PaymentRequest) -> tuple[Payment, bool]:
        now = utc_now()
        payment = Payment(
            content=request.content,
            status=PaymentStatus.PENDING,
            version=1,
            content_hash=request.content.hash,
            source=request.source,
            correlation_id=request.correlation_id,
            created_at=now,
            updated_at=now,
            audit_hash="",
        )
        return payment, True


_INTAKE: Any = _Intake()


class _PaymentModel(BaseModel):
    """A payment as it is written with pydantic."""

    model_config = ConfigDict(extra="forbid")

    payment_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    amount: Annotated[Decimal, Field(gt=0, max_digits=18)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


def _usual_handler() -> Any:
    """Return the same route as the documentation of Powertools writes it."""
    app = APIGatewayRestResolver(strip_prefixes=["/dev"])
    logger, metrics = Logger(service="usual"), Metrics(namespace="bench", service="usual")

    @app.post("/payments")
    def submit() -> Response[str]:
        event = app.current_event.raw_event
        model: Any = parse(event=event, model=_PaymentModel, envelope=ApiGatewayEnvelope)
        exponent = EXPONENTS[model.currency]
        minor = model.amount.scaleb(exponent)
        if minor != int(minor):
            raise ValueError("too many decimals")
        logger.append_keys(payment_id=model.payment_id)
        request_id = app.current_event.request_context.request_id or ""
        content = Content(model.payment_id, int(minor), model.currency, exponent)
        request = PaymentRequest(content, "api", request_id)
        payment, _ = _INTAKE.submit(request)
        metrics.add_metric(name="PaymentsAccepted", unit="Count", value=1)
        return Response(
            status_code=202,
            content_type="application/json",
            body=json.dumps(describe(payment)),
            headers={
                "Location": f"/dev/payments/{model.payment_id}",
                "Cache-Control": "no-store",
            },
        )

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.set_correlation_id(event["requestContext"]["requestId"])
        return app.resolve(event, context)

    return handler


@contextlib.contextmanager
def _stubbed() -> Iterator[None]:
    services, nobody = runtime.services, cast("Any", None)
    stubbed = runtime.Services(
        intake=_INTAKE,
        operations=nobody,
        listing=nobody,
        batches=nobody,
        reviews=nobody,
        refund_reviews=nobody,
        waiting=nobody,
    )
    runtime.services = lambda: stubbed  # type: ignore[assignment]  # stands in for it
    try:
        # Metrics are written to stdout.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        runtime.services = services


def measure() -> list[Measurement]:
    """Measure both handlers without their decorators; both must give the same answer."""
    our_handler, usual_handler = unwrap(api_handler.handler), _usual_handler()

    def run(handler: Any) -> None:
        for _ in range(REQUESTS):
            handler(_EVENT, _CONTEXT)

    with _stubbed():
        _require_same(our_handler(_EVENT, _CONTEXT), usual_handler(_EVENT, _CONTEXT))
        seconds, usual_seconds = interleaved_seconds(
            lambda: run(our_handler), lambda: run(usual_handler), runs=RUNS
        )
    return [
        Measurement(
            what="own time of one accepted API payment",
            unit="payments/s",
            value=REQUESTS / seconds,
            beside="Powertools resolver and pydantic parser",
            beside_value=REQUESTS / usual_seconds,
            at_least=2,
            notes=f"{seconds / REQUESTS * 1e6:.0f} µs each, AWS calls stubbed",
        )
    ]


def _require_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    bodies = [json.loads(answer["body"]) for answer in (one, other)]
    if not all(one["statusCode"] == answer["statusCode"] == 202 for answer in (one, other)):  # noqa: PLR2004 - accepted
        raise AssertionError(f"not accepted: {one}, {other}")
    if any(bodies[0][name] != bodies[1][name] for name in (*FIELDS, "amount_minor", "status")):
        raise AssertionError(f"the two answers differ: {bodies}")
