"""The gateway over Stripe's double in process, and payments that it can charge."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus, urlencode

from local.stripe_double.double import TEST_KEY, Call, StripeDouble
from local.stripe_double.faults import Fault, NoAnswer, Plan
from payments.core.content import Content
from payments.core.faults import GatewayUnavailable
from payments.core.payment import Payment, PaymentStatus
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.wire import Answer, Request

CREATED_AT = "2026-01-01T00:00:00.000000Z"
ENVIRONMENT = "test"


@dataclass
class InProcess:
    """A transport to a double without HTTP; notes what was asked."""

    double: StripeDouble
    requests: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        # Through the form, as over HTTP: what cannot be written as one is never sent.
        pairs = [
            (unquote_plus(name), unquote_plus(value))
            for name, _, value in (
                pair.partition("=") for pair in urlencode(request.fields).split("&") if pair
            )
        ]
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            answer = self.double.handle(Call(request.method, request.path, pairs, headers))
        except NoAnswer:
            raise GatewayUnavailable("no answer") from None
        if answer.cut:
            raise GatewayUnavailable("half an answer")
        return Answer(answer.status, answer.headers, answer.body)

    @property
    def asked(self) -> list[str]:
        """The verbs of what was asked, such as ``POST confirm``."""
        return [
            f"{each.method} {each.path.rpartition('/')[2].partition('_')[0]}"
            for each in self.requests
        ]


class Stripe:
    """One account at a double, whose clock stands still unless it is moved; and its gateway."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.double = StripeDouble(
            seed=seed, now=lambda: 1_767_225_600.0, sleep=lambda _: None, **settings
        )
        self.transport = InProcess(self.double)
        self.key = TEST_KEY
        self.customer = self.double.account.create_customer({})["id"]
        self.gateway = self.another()

    def another(self, *, environment: str = ENVIRONMENT, live: bool = False) -> StripeGateway:
        """Return another gateway to the same account."""
        client = StripeClient(self.transport, self.read_key, live=live)
        return StripeGateway(client, environment=environment)

    def read_key(self, *, anew: bool = False) -> str:
        """Return the key as it is remembered, or as it is by now."""
        if anew:
            self.key = self.double.key
        return self.key

    def plan(self, fault: Fault, at: str = "any", **plan: Any) -> None:
        """Let a fault strike the next request that it matches."""
        self.double.faults.plans.append(Plan(fault, at, **plan))

    def payment(self, payment_id: str = "pay_1", **fields: Any) -> Payment:
        """Return a payment by a card that approves; name only what the test is about."""
        content = Content(payment_id, 9999, "USD", 2, self.customer, "pm_card_visa")
        content = content._replace(**fields)
        return Payment(
            content=content,
            status=PaymentStatus.PENDING,
            version=1,
            content_hash=content.hash,
            source="api",
            correlation_id="request-1",
            created_at=CREATED_AT,
            updated_at=CREATED_AT,
            audit_hash="0" * 64,
        )

    def taken(self, payment_id: str = "pay_1") -> list[int]:
        """Return what was taken for a payment, charge by charge, less what was released."""
        return [
            charge["captured"]
            for charge in self.double.account.money().get(payment_id, [])
            if charge["captured"]
        ]
