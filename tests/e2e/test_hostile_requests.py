"""Requests that no honest client sends: always a 4xx, always a problem document."""

import json
from collections.abc import Callable
from http import HTTPStatus

import pytest

from local.api import Answer, PaymentsApi
from tests.contract.contract import load
from tests.e2e.environment import Environment

SUBMIT, READ = "POST /payments", "GET /payments/{payment_id}"
VALID = b'{"payment_id": "pay_hostile", "amount": "1.00", "currency": "USD"}'
MEGABYTE = 1024 * 1024


def _with_amount(literal: str) -> bytes:
    return VALID.replace(b'"1.00"', literal.encode())


BODIES = {
    "nothing": b"",
    "spaces only": b" \r\n\t ",
    "no JSON": b"payment_id=pay_hostile&amount=1.00&currency=USD",
    "half an object": VALID[:-1],
    "an object and more": VALID + VALID,
    "single quotes": VALID.replace(b'"', b"'"),
    "a comment": VALID[:-1] + b"/* */}",
    "a comma too many": VALID[:-1] + b",}",
    "an array": b"[" + VALID + b"]",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a string": b'"' + b"x" * 100 + b'"',
    "an empty object": b"{}",
    "a duplicate key": VALID[:-1] + b', "amount": "2.00"}',
    "a duplicate key with the same value": VALID[:-1] + b', "currency": "USD"}',
    "a duplicate key in disguise": VALID[:-1] + b', "\\u0061mount": "2.00"}',
    "a duplicate unknown key": VALID[:-1] + b', "x": {"y": 1, "y": 2}}',
    "an unknown key": VALID[:-1] + b', "status": "COMPLETED"}',
    "a key of a prototype": VALID[:-1] + b', "__proto__": {"amount": 2}}',
    "a thousand unknown keys": json.dumps({f"k{index}": 1 for index in range(1000)}).encode(),
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep arrays without an end": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep arrays in a short object": b'{"amount":' + b"[" * 8_000 + b"]" * 8_000 + b"}",
    "invalid UTF-8": VALID.replace(b"hostile", b"\xff\xfe"),
    "invalid UTF-8 outside of strings": b"\xc3\x28" + VALID,
    "Latin-1": VALID.replace(b"hostile", b"h\xf6stile"),
    "UTF-16": VALID.decode().encode("utf-16"),
    "two byte order marks": b"\xef\xbb\xbf" * 2 + VALID,
    "half a surrogate pair": VALID.replace(b"hostile", b"\\ud800"),
    "a NUL in an id": VALID.replace(b"hostile", b"\\u0000"),
    "a raw NUL": VALID.replace(b"hostile", b"\x00"),
    "a line end in an id": VALID.replace(b"hostile", b"x\\n"),
    "an id of other letters": VALID.replace(b"hostile", "हिन्दी".encode()),
    "an id of 65 characters": VALID.replace(b"pay_hostile", b"x" * 65),
    "no id": VALID.replace(b"pay_hostile", b""),
    "an id that is a number": VALID.replace(b'"pay_hostile"', b"1"),
    "a currency in lower case": VALID.replace(b"USD", b"usd"),
    "no currency in use": VALID.replace(b"USD", b"DEM"),
    "gold": VALID.replace(b"USD", b"XAU"),
    "nested values": b'{"payment_id": {}, "amount": [], "currency": null}',
}
AMOUNTS = [
    *("0", "-1", "-0", "0.00", "1e2", "1E400", "1e-400", "1.001", "1" * 19, "1" * 5000),
    *("0." + "0" * 5000 + "1", "true", "false", "null", "[1]", '{"value": 1}', '"1e2"', '""'),
    *('"1,000"', '"१२"', '" 1"', '"1 "', '"1."', '".5"', '"01"', '"+1"', '"0x10"', '"1_000"'),
    *('"NaN"', '"Infinity"', '"1\\n"', '"1\\u0000"', '"१.00"', '"１.00"', '"²"'),
    *("NaN", "Infinity", "-Infinity", "+1", ".5", "1.", "01", "0x10"),
]
CONTENT_TYPES = [
    *("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"),
    *("application/json; charset=utf-16", "application/jsonx", "json", "*/*", ";", "application/"),
    *("application/problem+json", "text/json", "application/json, text/plain"),
]


@pytest.fixture
def api(environment: Environment) -> PaymentsApi:
    """The deployed API."""
    return environment.api


def _assert_refused(operation: str, answer: Answer, *statuses: HTTPStatus) -> None:
    assert answer.status in (statuses or range(400, 500)), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    faults = load().answer_faults(
        operation, status=answer.status, headers=answer.headers, body=answer.body
    )
    assert not faults, f"{faults} in {answer.body!r}"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_hostile_body_is_a_bad_request(api: PaymentsApi, body: bytes) -> None:
    _assert_refused(SUBMIT, api.submit(body), HTTPStatus.BAD_REQUEST)
    assert api.payment("pay_hostile").status == HTTPStatus.NOT_FOUND


def test_no_hostile_amount_is_taken(api: PaymentsApi) -> None:
    for literal in AMOUNTS:
        answer = api.submit(_with_amount(literal))
        assert answer.status == HTTPStatus.BAD_REQUEST, literal[:40]
        _assert_refused(SUBMIT, answer)
    assert api.payment("pay_hostile").status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "body",
    [
        b" " * MEGABYTE,
        VALID + b" " * MEGABYTE,
        VALID[:-1] + b" " * MEGABYTE + b"}",
        VALID.replace(b"hostile", b"x" * MEGABYTE),
        VALID[:-1] + b', "x": [' + b"1," * (MEGABYTE // 2) + b"1]}",
    ],
    ids=["spaces", "spaces behind", "spaces within", "a long id", "a long array"],
)
def test_a_megabyte_is_too_large(api: PaymentsApi, body: bytes) -> None:
    too_large, no_json = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.BAD_REQUEST
    _assert_refused(SUBMIT, api.submit(body), no_json if not body.strip() else too_large)


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_another_content_type_is_unsupported(api: PaymentsApi, content_type: str) -> None:
    for body in (VALID, b"\xff\x00", b"[]", b"{"):
        answer = api.request("POST", "/payments", body=body, headers={"Content-Type": content_type})
        allowed = {HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
        # API Gateway may look at the body before anybody looks at the header.
        _assert_refused(
            SUBMIT, answer, *allowed, *(() if body is VALID else (HTTPStatus.BAD_REQUEST,))
        )


@pytest.mark.parametrize(
    "path",
    [
        *("/payments/%00", "/payments/%ff", "/payments/%0A", "/payments/a%20b", "/payments/a+b"),
        *("/payments/%2e%2e", "/payments/%2E", "/payments/..%2F..%2Fetc", "/payments/a%2Fb"),
        *("/payments/%", "/payments/%zz", "/payments/%ED%A0%80", "/payments/*", "/payments/a;b"),
        *("/payments/%E0%A4%A8", "/payments/{payment_id}", "/payments/pay_1'--", "/payments/$x"),
        "/payments/" + "x" * 65,
        "/payments/" + "x" * 4000,
        "/payments/nobody?payment_id=pay_1&payment_id=pay_2&%ff=%ff",
    ],
)
def test_a_hostile_path_finds_nothing(api: PaymentsApi, path: str) -> None:
    _assert_refused(READ, api.request("GET", path), HTTPStatus.NOT_FOUND)


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/payments/a/b", "//", "/payments.json"])
def test_an_unknown_route_is_not_found(api: PaymentsApi, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = api.request(method, path, body=VALID if method == "POST" else None)
        _assert_refused(READ, answer, HTTPStatus.NOT_FOUND)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/payments") for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
        *((method, "/payments/pay_1") for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
        ("BREW", "/payments"),
    ],
)
def test_a_wrong_method_is_refused(api: PaymentsApi, method: str, path: str) -> None:
    _assert_refused(READ, api.request(method, path, body=VALID), HTTPStatus.NOT_FOUND)


def test_a_refusal_shows_nothing_of_the_inside(api: PaymentsApi) -> None:
    answers = [api.submit(body) for body in BODIES.values()]
    answers += [api.request("GET", "/payments/%00"), api.request("GET", "/nothing")]
    for answer in answers:
        text = answer.body.decode()
        for inside in ("Traceback", "lambda", "dynamodb", "arn:aws", "payments-", ".py", "Error:"):
            assert inside not in text


def test_a_payment_is_taken_among_all_this(api: PaymentsApi, payment_id: Callable[[], str]) -> None:
    payment = {"payment_id": payment_id(), "amount": "1.00", "currency": "USD"}
    assert api.submit(payment).status == HTTPStatus.ACCEPTED


def test_json_as_many_clients_declare_it_is_taken(
    api: PaymentsApi, payment_id: Callable[[], str]
) -> None:
    payment = {"payment_id": payment_id(), "amount": "1.00", "currency": "USD"}
    body = b"\xef\xbb\xbf" + json.dumps(payment).encode()
    assert api.submit(body).status == HTTPStatus.ACCEPTED
    for content_type in ("application/json;", "application/json; charset=utf8"):
        answer = api.request("POST", "/payments", body=body, headers={"Content-Type": content_type})
        assert answer.status == HTTPStatus.OK, content_type
