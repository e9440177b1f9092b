"""One call to Stripe: what is sent, and which of our three errors an answer is."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from payments.core.faults import GatewayBusy, GatewayRefused, GatewayUnavailable, PaymentError
from payments.gateways.stripe.client import API_VERSION, KeptFailure, StripeClient
from payments.gateways.stripe.wire import Answer, Request

KEY = "rk_test_abc"
RATE_LIMITED = {"stripe-rate-limited-reason": "endpoint-rate"}


class Scripted:
    """A transport that answers as the test says and notes the requests."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Keys:
    """The secret: what is remembered, and what is stored by now."""

    def __init__(self, remembered: str = KEY, stored: str = KEY) -> None:
        self.remembered, self.stored = remembered, stored
        self.read_anew = 0

    def __call__(self, *, anew: bool = False) -> str:
        self.read_anew += anew
        return self.stored if anew else self.remembered


def answer(
    status: int, document: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, {"request-id": "req_1", **(headers or {})}, body)


def error(kind: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "pm_secret is no good", **fields}}


def client(transport: Scripted, keys: Keys | None = None, *, live: bool = False) -> StripeClient:
    return StripeClient(transport, keys or Keys(), live=live)


class TestRequest:
    """What every request carries."""

    def test_a_post_names_key_version_form_and_time_limit(self) -> None:
        transport = Scripted(answer(200, {"id": "pi_1"}))
        client(transport).post("/v1/things", {"a[b]": "c"}, key="one", read_seconds=20)
        [request] = transport.requests
        assert request == Request(
            method="POST",
            path="/v1/things",
            fields={"a[b]": "c"},
            headers={
                "Authorization": f"Bearer {KEY}",
                "Stripe-Version": API_VERSION,
                "Idempotency-Key": "one",
            },
            read_seconds=20,
        )

    def test_a_read_and_a_post_without_a_key_name_no_idempotency_key(self) -> None:
        transport = Scripted(answer(200, {"id": "pi_1"}), answer(200, {"id": "pi_1"}))
        client(transport).get("/v1/things", {"limit": "3"})
        client(transport).post("/v1/things", {})
        assert [request.method for request in transport.requests] == ["GET", "POST"]
        assert all("Idempotency-Key" not in request.headers for request in transport.requests)
        assert {request.read_seconds for request in transport.requests} == {8.0}

    def test_what_was_done_is_returned_with_the_id_of_the_request(self) -> None:
        reply = client(Scripted(answer(200, {"id": "pi_1"}))).get("/v1/things")
        assert (reply.document, reply.error, reply.request_id) == ({"id": "pi_1"}, {}, "req_1")


class TestErrors:
    """Unknown, busy and refused are never mixed up; what tells of a decline is no error."""

    @pytest.mark.parametrize(
        ("told", "meaning"),
        [
            pytest.param(answer(500, error("api_error")), GatewayUnavailable, id="500"),
            pytest.param(answer(503, b"<html>Unavailable</html>"), GatewayUnavailable, id="html"),
            pytest.param(answer(502, b""), GatewayUnavailable, id="empty"),
            pytest.param(answer(200, b'{"id": "pi_1", "am'), GatewayUnavailable, id="cut"),
            pytest.param(answer(200, b"[1]"), GatewayUnavailable, id="no object"),
            pytest.param(answer(200, b"{}"), GatewayUnavailable, id="nothing"),
            pytest.param(answer(200, b"\xff\xfe"), GatewayUnavailable, id="no text"),
            pytest.param(answer(424, error("api_error")), GatewayUnavailable, id="424"),
            pytest.param(answer(302, b""), GatewayUnavailable, id="redirect"),
            pytest.param(answer(400, b"<html>"), GatewayUnavailable, id="html 400"),
            pytest.param(answer(402, error("api_error")), GatewayUnavailable, id="402 api_error"),
            pytest.param(
                answer(409, error("invalid_request_error", code="idempotency_key_in_use")),
                GatewayUnavailable,
                id="twin",
            ),
            pytest.param(
                answer(500, error("api_error"), {"idempotent-replayed": "true"}),
                KeptFailure,
                id="kept 500",
            ),
            pytest.param(
                answer(429, error("invalid_request_error"), RATE_LIMITED), GatewayBusy, id="429"
            ),
            pytest.param(
                answer(429, error("invalid_request_error", code="lock_timeout")),
                GatewayBusy,
                id="lock",
            ),
            pytest.param(answer(429, b""), GatewayBusy, id="bare 429"),
            pytest.param(answer(403, error("invalid_request_error")), GatewayRefused, id="403"),
            pytest.param(answer(401, error("invalid_request_error")), GatewayRefused, id="401"),
        ],
    )
    def test_an_answer_is_the_error_that_it_means(
        self, told: Answer, meaning: type[PaymentError]
    ) -> None:
        with pytest.raises(meaning) as raised:
            client(Scripted(told)).post("/v1/things", {})
        assert raised.type is meaning

    def test_no_answer_is_unknown(self) -> None:
        with pytest.raises(GatewayUnavailable):
            client(Scripted(GatewayUnavailable("reset"))).post("/v1/things", {})

    @pytest.mark.parametrize(
        "told",
        [
            answer(402, error("card_error", code="card_declined")),
            answer(400, error("invalid_request_error", param="amount")),
            answer(404, error("invalid_request_error", code="resource_missing")),
            answer(400, error("idempotency_error")),
        ],
    )
    def test_what_says_why_nothing_was_done_is_returned(self, told: Answer) -> None:
        reply = client(Scripted(told)).post("/v1/things", {})
        assert reply.document == {}
        assert reply.error == json.loads(told.body)["error"]

    def test_an_error_says_what_and_which_request_and_repeats_no_message(self) -> None:
        told = answer(429, error("invalid_request_error", code="x", param="y"), RATE_LIMITED)
        with pytest.raises(GatewayBusy) as raised:
            client(Scripted(told)).post("/v1/things", {})
        assert str(raised.value) == (
            "POST /v1/things: 429 invalid_request_error x y req_1 endpoint-rate"
        )


class TestKey:
    """The key is of the environment's mode, and is read again once if Stripe knows it not."""

    @pytest.mark.parametrize("prefix", ["sk", "rk"])
    @pytest.mark.parametrize("mode", ["live", "test"])
    def test_a_secret_or_restricted_key_of_the_mode_is_used(self, prefix: str, mode: str) -> None:
        transport = Scripted(answer(200, {"id": "x"}))
        key = f"{prefix}_{mode}_abc"
        client(transport, Keys(key), live=mode == "live").get("/v1/things")
        assert transport.requests[0].headers["Authorization"] == f"Bearer {key}"

    @pytest.mark.parametrize(
        "key", ["sk_live_a", "pk_test_a", "rk_live_a", "", "sk_tes", "whsec_a"]
    )
    def test_any_other_key_is_refused_unsent(self, key: str) -> None:
        transport = Scripted()
        with pytest.raises(GatewayRefused) as raised:
            client(transport, Keys(key, key)).get("/v1/things")
        assert transport.requests == []
        assert not key or key not in str(raised.value)

    def test_a_key_that_was_mended_since_it_was_read_is_used(self) -> None:
        transport = Scripted(answer(200, {"id": "x"}))
        keys = Keys("pk_test_a", "sk_test_b")
        client(transport, keys).get("/v1/things")
        assert transport.requests[0].headers["Authorization"] == "Bearer sk_test_b"
        assert keys.read_anew == 1

    def test_a_live_environment_sends_no_test_key(self) -> None:
        with pytest.raises(GatewayRefused):
            client(Scripted(), Keys("sk_test_a"), live=True).get("/v1/things")

    def test_a_rolled_key_is_read_again_once_and_the_request_goes_through(self) -> None:
        transport = Scripted(answer(401, error("invalid_request_error")), answer(200, {"id": "x"}))
        keys = Keys("sk_test_old", "sk_test_new")
        assert client(transport, keys).post("/v1/things", {}, key="k").document == {"id": "x"}
        assert keys.read_anew == 1
        sent = [request.headers["Authorization"] for request in transport.requests]
        assert sent == ["Bearer sk_test_old", "Bearer sk_test_new"]

    def test_a_key_that_is_still_unknown_is_refused_after_one_try(self) -> None:
        transport = Scripted(*[answer(401, error("invalid_request_error"))] * 2)
        with pytest.raises(GatewayRefused):
            client(transport, Keys("sk_test_old", "sk_test_new")).get("/v1/things")
        assert len(transport.requests) == 2

    def test_a_key_that_did_not_change_is_not_sent_again(self) -> None:
        transport = Scripted(answer(401, error("invalid_request_error")))
        with pytest.raises(GatewayRefused):
            client(transport).get("/v1/things")
        assert len(transport.requests) == 1
