"""The double is as strict as Stripe: its layers in order, its keys, and the life of an intent."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local.stripe_double.account import API_VERSION
from local.stripe_double.double import TEST_KEY, Answer, Call, StripeDouble
from local.stripe_double.faults import Fault, NoAnswer, Plan

DAY = 24 * 3600


class Account:
    """A double and one customer; answers are JSON."""

    def __init__(self, **settings: Any) -> None:
        self.double = StripeDouble(now=lambda: 1_767_225_600.0, sleep=lambda _: None, **settings)
        self.customer = self.double.account.create_customer({})["id"]
        self.headers = {"authorization": f"Bearer {TEST_KEY}", "stripe-version": API_VERSION}

    def send(self, endpoint: str, key: str | None = None, **form: Any) -> Answer:
        method, _, path = endpoint.partition(" ")
        named = {} if key is None else {"idempotency-key": key}
        pairs = [(name.replace("__", "[") + "]" * ("__" in name), str(form[name])) for name in form]
        return self.double.handle(Call(method, path, pairs, {**self.headers, **named}))

    def ask(self, endpoint: str, key: str | None = None, **form: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.send(endpoint, key, **form).body)
        return answer

    def create(self, key: str | None = None, **form: Any) -> dict[str, Any]:
        asked = {
            "amount": 5000,
            "currency": "usd",
            "customer": self.customer,
            "payment_method": "pm_card_visa",
            "metadata__payment_id": "pay_1",
            **form,
        }
        return self.ask("POST /v1/payment_intents", key, **asked)

    def confirm(self, intent: Mapping[str, Any], **form: Any) -> Answer:
        asked = {"off_session": "true", **form}
        return self.send(f"POST /v1/payment_intents/{intent['id']}/confirm", **asked)


def error(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer.body)["error"]
    return told


@pytest.fixture
def account() -> Account:
    return Account()


class TestLayers:
    """Key of the account, limits, idempotency key, validation, execution: in this order."""

    def test_without_a_key_or_with_a_wrong_one_nothing_else_is_looked_at(
        self, account: Account
    ) -> None:
        account.double.rate = 0
        for headers in ({}, {"authorization": "Bearer sk_test_other"}):
            account.headers = headers
            assert account.send("POST /v1/nothing").status == 401

    def test_a_rolled_key_is_unknown(self, account: Account) -> None:
        account.double.key = "sk_test_new"
        assert account.send("GET /v1/payment_intents").status == 401

    @pytest.mark.parametrize("version", [None, "2020-08-27"])
    def test_a_request_must_name_the_version(self, account: Account, version: str | None) -> None:
        account.headers["stripe-version"] = version or ""
        assert account.send("GET /v1/payment_intents").status == 400

    def test_an_endpoint_takes_so_many_requests_a_second(self) -> None:
        account = Account(rate=2)
        statuses = [account.send("GET /v1/payment_intents").status for _ in range(3)]
        assert statuses == [200, 200, 429]
        limited = account.send("GET /v1/payment_intents")
        assert limited.headers["stripe-rate-limited-reason"] == "endpoint-rate"
        assert account.send("GET /v1/refunds").status == 200
        account.double.move_clock(1)
        assert account.send("GET /v1/payment_intents").status == 200

    def test_what_the_limits_refuse_no_key_keeps(self, account: Account) -> None:
        account.double.faults.plans.append(Plan(Fault.RATE_LIMITED))
        assert account.create("one")["error"]["code"] == "rate_limit"
        assert account.create("one")["status"] == "requires_confirmation"

    def test_an_unknown_path_is_not_found(self, account: Account) -> None:
        assert account.send("POST /v1/charges").status == 404


class TestKeys:
    """The first answer is kept for a day, whatever it was, once its request was carried out."""

    def test_a_repeated_request_gets_the_first_answer_and_says_so(self, account: Account) -> None:
        asked = {"amount": 50, "currency": "usd"}
        first, second = (account.send("POST /v1/payment_intents", "one", **asked) for _ in "12")
        assert first.body == second.body
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert len(account.double.account.intents) == 1

    def test_the_answer_is_as_it_was_then(self, account: Account) -> None:
        intent = account.create("one")
        account.confirm(intent)
        assert account.create("one")["status"] == "requires_confirmation"

    def test_after_a_day_it_is_a_new_request(self, account: Account) -> None:
        first = account.create("one")
        account.double.move_clock(DAY - 1)
        assert account.create("one")["id"] == first["id"]
        account.double.move_clock(1)
        assert account.create("one")["id"] != first["id"]

    @pytest.mark.parametrize("other", [{"amount": 5001}, {"metadata__release": "2"}])
    def test_other_parameters_are_an_error_and_do_nothing(
        self, account: Account, other: dict[str, Any]
    ) -> None:
        account.create("one")
        assert account.create("one", **other)["error"]["type"] == "idempotency_error"
        assert len(account.double.account.intents) == 1

    def test_another_endpoint_is_an_error(self, account: Account) -> None:
        intent = account.create("one")
        refused = account.send(f"POST /v1/payment_intents/{intent['id']}/cancel", "one")
        assert (refused.status, error(refused)["type"]) == (400, "idempotency_error")

    def test_a_decline_is_kept(self, account: Account) -> None:
        intent = account.create(payment_method="pm_card_visa_chargeDeclined")
        path = f"POST /v1/payment_intents/{intent['id']}/confirm"
        answers = [account.send(path, "one", off_session="true") for _ in range(2)]
        assert [answer.status for answer in answers] == [402, 402]
        assert answers[0].body == answers[1].body

    @pytest.mark.parametrize(("fault", "made"), [(Fault.FAILURE, 0), (Fault.FAILURE_DONE, 1)])
    def test_a_failure_is_kept_done_or_not(self, account: Account, fault: Fault, made: int) -> None:
        account.double.faults.plans.append(Plan(fault))
        for _ in range(3):
            assert account.create("one")["error"]["type"] == "api_error"
        assert len(account.double.account.intents) == made
        assert "id" in account.create("two")

    def test_refused_parameters_are_not_kept(self, account: Account) -> None:
        assert account.create("one", amount="x")["error"]["code"] == "parameter_invalid_integer"
        assert account.create("one")["status"] == "requires_confirmation"

    def test_what_is_refused_while_it_is_carried_out_is_kept(self, account: Account) -> None:
        assert account.create("one", amount=1)["error"]["code"] == "amount_too_small"
        assert account.create("one")["error"]["type"] == "idempotency_error"

    @pytest.mark.parametrize("key", ["", "k" * 256])
    def test_a_key_has_1_to_255_characters(self, account: Account, key: str) -> None:
        assert "error" in account.create(key)

    def test_a_read_has_no_key(self, account: Account) -> None:
        answers = [account.send("GET /v1/payment_intents", "one", limit=n) for n in (1, 2)]
        assert [answer.status for answer in answers] == [200, 200]


class TestForms:
    """What an endpoint does not take is refused by name."""

    @pytest.mark.parametrize(
        ("form", "code", "param"),
        [
            ({"amout": 1}, "parameter_unknown", "amout"),
            ({"source": "tok_visa"}, "parameter_unknown", "source"),
            ({"amount": "1.5"}, "parameter_invalid_integer", "amount"),
            ({"currency": ""}, "parameter_invalid_empty", "currency"),
            ({"capture_method": "later"}, None, "capture_method"),
            ({"confirm": "yes"}, None, "confirm"),
            ({"metadata": "text"}, None, "metadata"),
            ({"metadata__k": "v" * 501}, None, "metadata"),
            ({"metadata__" + "k" * 41: "v"}, None, "metadata"),
            ({f"metadata__k{n}": "v" for n in range(51)}, None, "metadata"),
            ({"payment_method_types__": "ideal"}, None, "payment_method_types[0]"),
            ({"amount__a": 1}, None, "amount"),
        ],
    )
    def test_a_faulty_parameter_is_named(
        self, account: Account, form: dict[str, Any], code: str | None, param: str
    ) -> None:
        told = account.create(**form)["error"]
        assert (told["type"], told.get("code"), told.get("param")) == (
            "invalid_request_error",
            code,
            param,
        )

    def test_what_is_missing_is_named(self, account: Account) -> None:
        refused = account.send("POST /v1/payment_intents", currency="usd")
        assert (error(refused)["code"], error(refused)["param"]) == ("parameter_missing", "amount")

    @pytest.mark.parametrize(
        ("amount", "currency", "told"),
        [
            (49, "usd", "amount_too_small"),
            (10**12, "usd", "amount_too_large"),
            (0, "usd", "parameter_invalid_integer"),
            (50, "xau", "currency"),
            (501, "isk", "amount"),
            (501, "ugx", "amount"),
            (5124, "kwd", "amount"),
        ],
    )
    def test_an_amount_or_currency_that_nobody_can_pay_is_refused(
        self, account: Account, amount: int, currency: str, told: str
    ) -> None:
        refused = account.create(amount=amount, currency=currency)["error"]
        assert told in (refused.get("code"), refused.get("param"))

    @pytest.mark.parametrize(
        ("amount", "currency"),
        [(500, "isk"), (500, "ugx"), (5120, "kwd"), (500, "jpy"), (500, "mga"), (50, "USD")],
    )
    def test_those_that_somebody_can_are_taken(
        self, account: Account, amount: int, currency: str
    ) -> None:
        assert account.create(amount=amount, currency=currency)["amount"] == amount


class TestIntents:
    """An intent charges at most once, and says what became of it."""

    def test_it_is_created_without_moving_money(self, account: Account) -> None:
        assert account.create()["status"] == "requires_confirmation"
        assert account.double.account.money() == {}

    def test_confirming_charges_once(self, account: Account) -> None:
        intent = account.create()
        assert account.confirm(intent).status == 200
        again = account.confirm(intent)
        assert again.status == 400
        assert error(again)["code"] == "payment_intent_unexpected_state"
        assert error(again)["payment_intent"]["status"] == "succeeded"
        assert [each["captured"] for each in account.double.account.money()["pay_1"]] == [5000]

    @pytest.mark.parametrize(
        ("card", "code", "decline_code"),
        [
            ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
            (
                "pm_card_visa_chargeDeclinedInsufficientFunds",
                "card_declined",
                "insufficient_funds",
            ),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
            (
                "pm_card_authenticationRequired",
                "authentication_required",
                "authentication_required",
            ),
        ],
    )
    def test_a_decline_keeps_its_reason_and_loses_its_payment_method(
        self, account: Account, card: str, code: str, decline_code: str | None
    ) -> None:
        intent = account.create(payment_method=card)
        declined = account.confirm(intent)
        assert declined.status == 402
        told = error(declined)
        assert (told["type"], told["code"], told.get("decline_code")) == (
            "card_error",
            code,
            decline_code,
        )
        left = account.ask(f"GET /v1/payment_intents/{intent['id']}")
        assert (left["status"], left["payment_method"]) == ("requires_payment_method", None)
        assert left["last_payment_error"]["code"] == code
        again = account.confirm(intent)
        assert error(again)["code"] == "payment_intent_unexpected_state"
        assert account.double.account.money() == {}

    def test_the_reason_outlives_the_cancellation(self, account: Account) -> None:
        intent = account.create(payment_method="pm_card_visa_chargeDeclined")
        account.confirm(intent)
        canceled = account.ask(f"POST /v1/payment_intents/{intent['id']}/cancel")
        assert (canceled["status"], canceled["last_payment_error"]["code"]) == (
            "canceled",
            "card_declined",
        )

    def test_on_session_a_card_may_ask_its_owner(self, account: Account) -> None:
        intent = account.create(payment_method="pm_card_authenticationRequired")
        asked = account.confirm(intent, off_session="false")
        assert json.loads(asked.body)["status"] == "requires_action"
        refused = account.confirm(intent, off_session="false", error_on_requires_action="true")
        assert refused.status == 402

    @pytest.mark.parametrize("end", ["confirm", "cancel"])
    def test_what_has_ended_cannot_be_confirmed_or_canceled(
        self, account: Account, end: str
    ) -> None:
        intent = account.create()
        account.send(f"POST /v1/payment_intents/{intent['id']}/{end}")
        for verb in ("confirm", "cancel", "capture"):
            refused = account.send(f"POST /v1/payment_intents/{intent['id']}/{verb}")
            assert error(refused)["code"] == "payment_intent_unexpected_state"

    def test_create_and_confirm_may_be_one_step(self, account: Account) -> None:
        assert account.create(confirm="true", off_session="true")["status"] == "succeeded"

    def test_an_undecided_intent_is_decided_later(self, account: Account) -> None:
        account.double.faults.plans.append(Plan(Fault.UNDECIDED, "confirm", seconds=60))
        intent = account.create()
        assert json.loads(account.confirm(intent).body)["status"] == "processing"
        assert error(account.send(f"POST /v1/payment_intents/{intent['id']}/cancel"))
        account.double.move_clock(60)
        assert account.ask(f"GET /v1/payment_intents/{intent['id']}")["status"] == "succeeded"

    def test_a_card_belongs_to_its_customer(self, account: Account) -> None:
        card = account.ask(
            "POST /v1/payment_methods/pm_card_visa/attach", customer=account.customer
        )
        assert account.create(payment_method=card["id"])["payment_method"] == card["id"]
        other = account.ask("POST /v1/customers", name="Other")["id"]
        refused = account.create(payment_method=card["id"], customer=other)["error"]
        assert refused["param"] == "payment_method"
        assert "error" in account.ask(
            f"POST /v1/payment_methods/{card['id']}/attach", customer=other
        )

    def test_a_card_that_declines_can_mostly_not_be_attached(self, account: Account) -> None:
        for card, status in (
            ("pm_card_visa_chargeDeclined", 402),
            ("pm_card_chargeCustomerFail", 200),
            ("pm_nothing", 404),
        ):
            path = f"POST /v1/payment_methods/{card}/attach"
            assert account.send(path, customer=account.customer).status == status

    @pytest.mark.parametrize(
        ("form", "param"),
        [({"customer": "cus_none"}, "customer"), ({"payment_method": "pm_none"}, "payment_method")],
    )
    def test_who_is_not_there_is_named(
        self, account: Account, form: dict[str, Any], param: str
    ) -> None:
        told = account.create(**form)["error"]
        assert (told["code"], told["param"]) == ("resource_missing", param)

    def test_lists_are_paged_and_filtered(self, account: Account) -> None:
        made = [account.create(metadata__payment_id=f"pay_{n}")["id"] for n in range(3)]
        page = account.ask("GET /v1/payment_intents", limit=2, customer=account.customer)
        assert ([each["id"] for each in page["data"]], page["has_more"]) == (made[:0:-1], True)
        rest = account.ask("GET /v1/payment_intents", starting_after=made[1])
        assert [each["id"] for each in rest["data"]] == [made[0]]
        before = account.ask("GET /v1/payment_intents", ending_before=made[1])
        assert [each["id"] for each in before["data"]] == [made[2]]
        later = account.ask("GET /v1/payment_intents", created__gt=int(account.double.clock()))
        assert later["data"] == []
        assert "error" in account.ask("GET /v1/payment_intents", limit=101)

    def test_what_happened_is_told_as_events(self, account: Account) -> None:
        intent = account.create()
        account.confirm(intent)
        told = account.ask("GET /v1/events", limit=100)["data"]
        assert [event["type"] for event in reversed(told)] == [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
        ]
        assert told[0]["data"]["object"]["id"] == intent["id"]


class TestCapturesAndRefunds:
    """Money that is held is captured or released; money taken is given back, never more of it."""

    def held(self, account: Account) -> dict[str, Any]:
        intent = account.create(capture_method="manual")
        account.confirm(intent)
        return account.ask(f"GET /v1/payment_intents/{intent['id']}", expand__="latest_charge")

    def test_an_amount_is_held_for_seven_days(self, account: Account) -> None:
        intent = self.held(account)
        assert (intent["status"], intent["amount_capturable"]) == ("requires_capture", 5000)
        card = intent["latest_charge"]["payment_method_details"]["card"]
        assert card["capture_before"] == intent["created"] + 7 * DAY
        account.double.move_clock(7 * DAY)
        left = account.ask(f"GET /v1/payment_intents/{intent['id']}")
        assert (left["status"], left["cancellation_reason"]) == ("canceled", "automatic")

    def test_a_part_is_captured_and_the_rest_is_released(self, account: Account) -> None:
        intent = self.held(account)
        path = f"POST /v1/payment_intents/{intent['id']}/capture"
        assert "error" in account.ask(path, amount_to_capture=5001)
        assert "error" in account.ask(path, amount_to_capture=0)
        captured = account.ask(path, amount_to_capture=4000)
        assert (captured["status"], captured["amount_received"]) == ("succeeded", 4000)
        assert "error" in account.ask(path, amount_to_capture=1000)

    def test_parts_are_refunded_until_nothing_is_left(self, account: Account) -> None:
        intent = account.create(confirm="true", off_session="true")
        asked = {"payment_intent": intent["id"]}
        assert account.ask("POST /v1/refunds", amount=2000, **asked)["status"] == "succeeded"
        over = account.ask("POST /v1/refunds", amount=3001, **asked)["error"]
        assert over["param"] == "amount"
        assert account.ask("POST /v1/refunds", **asked)["amount"] == 3000
        none = account.ask("POST /v1/refunds", **asked)["error"]
        assert none["code"] == "charge_already_refunded"
        [charge] = account.double.account.money()["pay_1"]
        assert charge["refunded"] == 5000
        refunds = account.ask("GET /v1/refunds", **asked)["data"]
        assert [refund["amount"] for refund in refunds] == [3000, 2000]
        assert account.ask(f"GET /v1/charges/{refunds[0]['charge']}")["refunded"] is True

    def test_what_charged_nothing_cannot_be_refunded(self, account: Account) -> None:
        for intent in (account.create(), self.held(account)):
            assert "error" in account.ask("POST /v1/refunds", payment_intent=intent["id"])

    @pytest.mark.parametrize(
        ("card", "first", "last", "refunded"),
        [
            ("pm_card_pendingRefund", "pending", "succeeded", 5000),
            ("pm_card_refundFail", "succeeded", "failed", 0),
        ],
    )
    def test_a_refund_may_be_decided_later_or_be_taken_back(
        self, account: Account, card: str, first: str, last: str, refunded: int
    ) -> None:
        intent = account.create(payment_method=card, confirm="true", off_session="true")
        refund = account.ask("POST /v1/refunds", payment_intent=intent["id"])
        assert refund["status"] == first
        account.double.move_clock(DAY)
        assert account.ask(f"GET /v1/refunds/{refund['id']}")["status"] == last
        [charge] = account.double.account.money()["pay_1"]
        assert charge["refunded"] == refunded


class TestFaults:
    """Faults strike where they are planned, and what was done stays done."""

    @pytest.mark.parametrize(("fault", "made"), [(Fault.REFUSE, 0), (Fault.LOSE, 1)])
    def test_a_connection_ends_before_or_after(
        self, account: Account, fault: Fault, made: int
    ) -> None:
        account.double.faults.plans.append(Plan(fault, "create"))
        with pytest.raises(NoAnswer):
            account.create("one")
        assert len(account.double.account.intents) == made
        account.create("one")
        assert len(account.double.account.intents) == 1

    @pytest.mark.parametrize(("fault", "made"), [(Fault.HTML, 0), (Fault.HTML_DONE, 1)])
    def test_a_proxy_answers_in_html(self, account: Account, fault: Fault, made: int) -> None:
        account.double.faults.plans.append(Plan(fault))
        answer = account.send("POST /v1/payment_intents", amount=50, currency="usd")
        assert (answer.status, answer.body[:6]) == (503, b"<html>")
        assert len(account.double.account.intents) == made

    def test_half_a_body_arrives_of_what_was_done(self, account: Account) -> None:
        account.double.faults.plans.append(Plan(Fault.CUT))
        answer = account.send("POST /v1/payment_intents", amount=50, currency="usd")
        assert answer.cut
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(answer.body)

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            (Fault.RATE_LIMITED, 429, "rate_limit"),
            (Fault.LOCKED, 429, "lock_timeout"),
            (Fault.KEY_IN_USE, 409, "idempotency_key_in_use"),
            (Fault.FORBIDDEN, 403, None),
        ],
    )
    def test_a_refusal_is_as_stripe_says_it(
        self, account: Account, fault: Fault, status: int, code: str | None
    ) -> None:
        account.double.faults.plans.append(Plan(fault))
        answer = account.send("POST /v1/payment_intents", "one", amount=50, currency="usd")
        assert (answer.status, error(answer).get("code")) == (status, code)
        assert ("stripe-rate-limited-reason" in answer.headers) is (fault is Fault.RATE_LIMITED)
        assert account.double.account.intents == {}

    def test_a_late_request_holds_its_object_and_its_key(self, account: Account) -> None:
        intent = account.create()
        path = f"POST /v1/payment_intents/{intent['id']}/confirm"
        meanwhile: list[Answer] = []

        def wait(_: float) -> None:
            meanwhile.extend(
                [
                    account.send(path, "one", off_session="true"),
                    account.send(path, off_session="true"),
                ]
            )

        account.double._sleep = wait
        account.double.faults.plans.append(Plan(Fault.LATE, "confirm", seconds=25))
        assert account.send(path, "one", off_session="true").status == 200
        assert [(answer.status, error(answer)["code"]) for answer in meanwhile] == [
            (409, "idempotency_key_in_use"),
            (429, "lock_timeout"),
        ]

    def test_a_fault_strikes_one_payment_and_so_many_times(self, account: Account) -> None:
        account.double.faults.plans.append(
            Plan(Fault.FORBIDDEN, "create", payment_id="pay_2", times=2)
        )
        names = ["pay_1", "pay_2", "pay_2", "pay_2"]
        answers = [account.create(metadata__payment_id=name) for name in names]
        assert ["error" in answer for answer in answers] == [False, True, True, False]

    def test_an_answer_may_be_about_something_else(self, account: Account) -> None:
        account.double.faults.plans.append(Plan(Fault.OTHER_ANSWER, change={"amount": 1}))
        assert account.create()["amount"] == 1
        assert next(iter(account.double.account.intents.values()))["amount"] == 5000
