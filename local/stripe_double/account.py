"""What one Stripe account holds, and the life of an intent, a charge and a refund."""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from string import ascii_letters, digits
from typing import Any, Final

from local.stripe_double.cards import CARDS, MESSAGES, Card, check_amount
from local.stripe_double.errors import StripeError, declined, missing, refused

API_VERSION: Final = "2026-08-26.dahlia"
"""The one version that the double speaks."""

AUTHORIZATION_SECONDS: Final = 7 * 24 * 3600
"""How long an amount is held that was not captured."""

REFUND_SECONDS: Final = 24 * 3600
"""After how long a refund of the cards for that is decided, or taken back."""

_CANCELABLE: Final = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
)
_CONFIRMABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")

type Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Undecided:
    """What the issuer will say of an intent that is processing, and when."""

    at: float
    card: Card
    payment_method: Object


class Account:
    """Customers, cards, intents, charges, refunds and events of one account.

    Every method raises :class:`local.stripe_double.errors.StripeError` for what Stripe refuses.
    """

    def __init__(self, clock: Callable[[], float], random: Random, *, live: bool = False) -> None:
        self._clock = clock
        self._random = random
        self._live = live
        self._customers: dict[str, Object] = {}
        self._methods: dict[str, Object] = {}
        self._cards: dict[str, Card] = {}
        self._undecided: dict[str, Undecided] = {}
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.events: list[Object] = []

    # --- who pays

    def create_customer(self, form: Mapping[str, Any]) -> Object:
        """Create a customer."""
        customer = {
            **self._new("cus_", "customer"),
            "description": form.get("description"),
            "email": form.get("email"),
            "name": form.get("name"),
            "metadata": form.get("metadata", {}),
        }
        self._customers[customer["id"]] = customer
        return customer

    def attach(self, name: str, form: Mapping[str, Any]) -> Object:
        """Attach a card to a customer: a test card becomes one with an id of its own."""
        customer = self._customer(form["customer"])
        if name in self._methods:
            method = self._methods[name]
            if method["customer"] not in (None, customer["id"]):
                raise refused(
                    "The payment method you provided has already been attached to a customer."
                )
        else:
            card = CARDS.get(name)
            if card is None:
                raise missing("PaymentMethod", name, param="payment_method", status=404)
            if not card.attachable and card.decline is not None:
                raise self._decline(card.decline, None, None)
            method = self._method(card)
            self._methods[method["id"]] = method
            self._cards[method["id"]] = card
        method["customer"] = customer["id"]
        return method

    # --- intents

    def create_intent(self, form: Mapping[str, Any]) -> Object:
        """Create an intent; nothing is charged unless ``confirm`` says so."""
        currency = form["currency"].lower()
        check_amount(form["amount"], currency)
        customer = form.get("customer")
        if customer is not None:
            self._customer(customer)
        method = form.get("payment_method")
        if method is not None:
            self._usable(method, customer)
        intent_id = self._id("pi_")
        intent = {
            **self._new("pi_", "payment_intent"),
            "id": intent_id,
            "amount": form["amount"],
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": None,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": form.get("capture_method", "automatic_async"),
            "client_secret": f"{intent_id}_secret_{self._letters(25)}",
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": customer,
            "description": form.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": form.get("metadata", {}),
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": method,
            "payment_method_configuration_details": None,
            "payment_method_options": {},
            "payment_method_types": form.get("payment_method_types", ["card"]),
            "processing": None,
            "receipt_email": None,
            "review": None,
            "setup_future_usage": None,
            "shipping": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "requires_payment_method" if method is None else "requires_confirmation",
            "transfer_data": None,
            "transfer_group": None,
        }
        self.intents[intent_id] = intent
        self._tell("payment_intent.created", intent)
        if form.get("confirm"):
            return self.confirm(intent_id, form)
        return intent

    def confirm(
        self, intent_id: str, form: Mapping[str, Any], *, decided_after: float | None = None
    ) -> Object:
        """Confirm an intent: its card is charged, once.

        ``decided_after`` leaves it ``processing`` for so many seconds.
        """
        intent = self.intent(intent_id)
        if intent["status"] not in _CONFIRMABLE:
            raise self._state(
                intent,
                "This PaymentIntent could not be confirmed because it has a status of"
                f" {intent['status']}.",
            )
        name = form.get("payment_method") or intent["payment_method"]
        if name is None:
            raise self._state(
                intent,
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
            )
        try:
            card, method = self._usable(name, intent["customer"])
        except StripeError as error:
            error.document["error"]["payment_intent"] = copy.deepcopy(intent)
            raise
        if card.authentication and not form.get("off_session"):
            if form.get("error_on_requires_action"):
                return self._fail(intent, ("authentication_required", None), method, charged=False)
            intent |= {"status": "requires_action", "payment_method": name}
            intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
            self._tell("payment_intent.requires_action", intent)
            return intent
        if decided_after is not None:
            intent |= {"status": "processing", "payment_method": method["id"]}
            self._undecided[intent_id] = Undecided(self._clock() + decided_after, card, method)
            self._tell("payment_intent.processing", intent)
            return intent
        return self._decide(intent, card, method)

    def cancel(self, intent_id: str, form: Mapping[str, Any]) -> Object:
        """Cancel an intent that has charged nothing; what it held is released."""
        intent = self.intent(intent_id)
        if intent["status"] not in _CANCELABLE:
            raise self._state(
                intent,
                f"You cannot cancel this PaymentIntent because it has a status of"
                f" {intent['status']}. Only a PaymentIntent with one of the following statuses may"
                f" be canceled: {', '.join(_CANCELABLE)}.",
            )
        return self._canceled(intent, form.get("cancellation_reason"))

    def capture(self, intent_id: str, form: Mapping[str, Any]) -> Object:
        """Capture what an intent holds, or a part, and release the rest."""
        intent = self.intent(intent_id)
        if intent["status"] != "requires_capture":
            raise self._state(
                intent,
                "This PaymentIntent could not be captured because it has a status of"
                f" {intent['status']}.",
            )
        amount = form.get("amount_to_capture", intent["amount_capturable"])
        told = copy.deepcopy(intent)
        if amount < 1:
            raise refused(
                "This value must be greater than or equal to 1.",
                code="parameter_invalid_integer",
                param="amount",
                payment_intent=told,
            )
        if amount > intent["amount_capturable"]:
            raise refused(
                "The payment could not be captured because the requested capture amount is greater"
                " than the amount you can capture for this charge.",
                code="amount_too_large",
                payment_intent=told,
            )
        charge = self.charges[intent["latest_charge"]]
        charge |= {"captured": True, "amount_captured": amount}
        intent |= {"status": "succeeded", "amount_capturable": 0, "amount_received": amount}
        intent["metadata"] |= form.get("metadata", {})
        self._tell("charge.captured", charge)
        self._tell("payment_intent.succeeded", intent)
        return intent

    def intent(self, intent_id: str) -> Object:
        """Return an intent as it stands by now."""
        if intent_id not in self.intents:
            raise missing("payment_intent", intent_id, param="intent", status=404)
        intent = self.intents[intent_id]
        undecided = self._undecided.get(intent_id)
        if undecided is not None and self._clock() >= undecided.at:
            del self._undecided[intent_id]
            # A decline stands in the intent; nobody waits for the answer.
            with suppress(StripeError):
                self._decide(intent, undecided.card, undecided.payment_method)
        if intent["status"] == "requires_capture":
            held = self.charges[intent["latest_charge"]]["created"]
            if self._clock() >= held + AUTHORIZATION_SECONDS:
                self._canceled(intent, "automatic")
        return intent

    def charge(self, charge_id: str) -> Object:
        """Return a charge."""
        if charge_id not in self.charges:
            raise missing("charge", charge_id, param="charge", status=404)
        return self.charges[charge_id]

    # --- refunds

    def create_refund(self, form: Mapping[str, Any]) -> Object:
        """Give back a part of what an intent charged, or all that is left."""
        intent = self.intents.get(form["payment_intent"])
        if intent is None:
            raise missing("payment_intent", form["payment_intent"], param="payment_intent")
        charge = self.charges.get(intent["latest_charge"] or "")
        if charge is None or charge["status"] != "succeeded":
            raise refused(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            )
        if not charge["captured"]:
            raise refused(
                f"This uncaptured Charge was created by a PaymentIntent ({intent['id']}). You must"
                " cancel the PaymentIntent to reverse the authorization."
            )
        left = charge["amount_captured"] - charge["amount_refunded"]
        if left == 0:
            raise refused(
                f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
            )
        amount = form.get("amount", left)
        if amount < 1:
            raise refused(
                "This value must be greater than or equal to 1.",
                code="parameter_invalid_integer",
                param="amount",
            )
        if amount > left:
            raise refused(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        card = self._cards.get(charge["payment_method"], Card(""))
        refund = {
            **self._new("re_", "refund"),
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "customer": charge["customer"],
            "metadata": form.get("metadata", {}),
            "payment_intent": intent["id"],
            "payment_method": charge["payment_method"],
            "reason": form.get("reason"),
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "pending" if card.refund == "pending" else "succeeded",
            "transfer_reversal": None,
        }
        del refund["livemode"]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self.refunds[refund["id"]] = refund
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        return refund

    def refund(self, refund_id: str) -> Object:
        """Return a refund as it stands by now."""
        if refund_id not in self.refunds:
            raise missing("refund", refund_id, param="refund", status=404)
        refund = self.refunds[refund_id]
        card = self._cards.get(refund["payment_method"], Card(""))
        if self._clock() >= refund["created"] + REFUND_SECONDS:
            if card.refund == "failed":
                self.fail_refund(refund_id)
            elif refund["status"] == "pending":
                refund["status"] = "succeeded"
                self._tell("refund.updated", refund)
        return refund

    def fail_refund(self, refund_id: str) -> Object:
        """Take back a refund that the bank could not carry out; the money is with us again."""
        refund = self.refunds[refund_id]
        if refund["status"] in ("pending", "succeeded"):
            charge = self.charges[refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
            refund["failure_balance_transaction"] = self._id("txn_")
            self._tell("refund.failed", refund)
        return refund

    def reissue(self, intent_id: str, card: str) -> None:
        """Let the card that an intent charged behave as another test card from now on."""
        self._cards[self.charges[self.intents[intent_id]["latest_charge"]]["payment_method"]] = (
            CARDS[card]
        )

    # --- the truth about money

    def money(self) -> dict[str, list[Object]]:
        """Return what was charged, captured and refunded, by ``metadata.payment_id``."""
        taken: dict[str, list[Object]] = {}
        for charge in self.charges.values():
            if charge["status"] != "failed":
                name = charge["metadata"].get("payment_id", "")
                intent = self.intents[charge["payment_intent"]]
                taken.setdefault(name, []).append(
                    {
                        "environment": charge["metadata"].get("environment"),
                        "payment_intent": charge["payment_intent"],
                        "currency": charge["currency"],
                        "amount": charge["amount"],
                        "captured": charge["amount_captured"],
                        "refunded": charge["amount_refunded"],
                        "released": intent["status"] == "canceled",
                    }
                )
        return taken

    # ---

    def _decide(self, intent: Object, card: Card, method: Object) -> Object:
        if card.authentication:
            return self._fail(
                intent,
                ("authentication_required", "authentication_required"),
                method,
                charged=False,
            )
        if card.decline is not None:
            return self._fail(intent, card.decline, method, charged=True)
        manual = intent["capture_method"] == "manual"
        amount = intent["amount"]
        charge = self._charge(intent, method, captured=not manual)
        intent |= {
            "status": "requires_capture" if manual else "succeeded",
            "amount_capturable": amount if manual else 0,
            "amount_received": 0 if manual else amount,
            "latest_charge": charge["id"],
            "next_action": None,
            "payment_method": method["id"],
        }
        self._cards.setdefault(method["id"], card)
        self._tell("charge.succeeded", charge)
        told = "amount_capturable_updated" if manual else "succeeded"
        self._tell(f"payment_intent.{told}", intent)
        return intent

    def _fail(
        self, intent: Object, decline: tuple[str, str | None], method: Object, *, charged: bool
    ) -> Object:
        """Decline a confirmation. The intent keeps the reason, and loses its payment method."""
        charge = self._charge(intent, method, decline=decline) if charged else None
        error = self._decline(decline, charge, method)
        intent |= {
            "status": "requires_payment_method",
            "payment_method": None,
            "last_payment_error": copy.deepcopy(error.document["error"]),
            "latest_charge": charge["id"] if charge else None,
        }
        if charge is not None:
            self._tell("charge.failed", charge)
        self._tell("payment_intent.payment_failed", intent)
        error.document["error"]["payment_intent"] = copy.deepcopy(intent)
        raise error

    def _decline(
        self, decline: tuple[str, str | None], charge: Object | None, method: Object | None
    ) -> StripeError:
        code, decline_code = decline
        message = MESSAGES.get(decline_code or code, "Your card was declined.")
        return declined(
            code,
            message,
            decline_code=decline_code,
            charge=charge["id"] if charge else None,
            payment_method=copy.deepcopy(method),
        )

    def _charge(
        self,
        intent: Object,
        method: Object,
        *,
        captured: bool = False,
        decline: tuple[str, str | None] | None = None,
    ) -> Object:
        amount = intent["amount"]
        manual = intent["capture_method"] == "manual"
        code, decline_code = decline or (None, None)
        card = dict(method["card"])
        if manual and decline is None:
            card["capture_before"] = int(self._clock()) + AUTHORIZATION_SECONDS
        charge = {
            **self._new("ch_", "charge"),
            "amount": amount,
            "amount_captured": amount if captured else 0,
            "amount_refunded": 0,
            "balance_transaction": None,
            "billing_details": method["billing_details"],
            "captured": captured,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_code": code,
            "failure_message": None if code is None else "Your card was declined.",
            "metadata": dict(intent["metadata"]),
            "outcome": {
                "network_status": "approved_by_network" if code is None else "declined_by_network",
                "reason": decline_code,
                "type": "authorized" if code is None else "issuer_declined",
            },
            "paid": code is None,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {"card": card, "type": "card"},
            "refunded": False,
            "status": "succeeded" if code is None else "failed",
        }
        self.charges[charge["id"]] = charge
        return charge

    def _canceled(self, intent: Object, reason: str | None) -> Object:
        intent |= {
            "status": "canceled",
            "amount_capturable": 0,
            "canceled_at": int(self._clock()),
            "cancellation_reason": reason,
            "next_action": None,
        }
        self._tell("payment_intent.canceled", intent)
        return intent

    def _customer(self, name: str) -> Object:
        if name not in self._customers:
            raise missing("customer", name, param="customer")
        return self._customers[name]

    def _usable(self, name: str, customer: str | None) -> tuple[Card, Object]:
        """Return a card that may be charged for a customer: attached to that one, or a test card."""
        if name in CARDS:
            return CARDS[name], self._method(CARDS[name])
        if name not in self._methods:
            raise missing("PaymentMethod", name, param="payment_method")
        method = self._methods[name]
        if method["customer"] != customer:
            raise refused(
                f"The PaymentMethod {name} does not belong to the Customer you supplied.",
                param="payment_method",
            )
        return self._cards[name], method

    def _method(self, card: Card) -> Object:
        return {
            **self._new("pm_", "payment_method"),
            "allow_redisplay": "unspecified",
            "billing_details": {
                "address": {
                    "city": None,
                    "country": None,
                    "line1": None,
                    "line2": None,
                    "postal_code": None,
                    "state": None,
                },
                "email": None,
                "name": None,
                "phone": None,
                "tax_id": None,
            },
            "card": {
                "brand": card.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": None,
                    "cvc_check": "pass",
                },
                "country": "US",
                "exp_month": 9,
                "exp_year": 2034,
                "funding": "credit",
                "last4": card.number[-4:],
            },
            "customer": None,
            "metadata": {},
            "type": "card",
        }

    def _state(self, intent: Object, message: str) -> StripeError:
        return refused(
            message,
            code="payment_intent_unexpected_state",
            payment_intent=copy.deepcopy(intent),
        )

    def _tell(self, kind: str, about: Object) -> None:
        self.events.append(
            {
                **self._new("evt_", "event"),
                "api_version": API_VERSION,
                "data": {"object": copy.deepcopy(about)},
                "pending_webhooks": 0,
                "request": None,
                "type": kind,
            }
        )

    def _new(self, prefix: str, kind: str) -> Object:
        return {
            "id": self._id(prefix),
            "object": kind,
            "created": int(self._clock()),
            "livemode": self._live,
        }

    def _id(self, prefix: str) -> str:
        return prefix + self._letters(24)

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(ascii_letters + digits, k=count))
