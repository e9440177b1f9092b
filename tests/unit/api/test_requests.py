"""Bodies of requests: what their Content-Type says of them, and how they become text."""

import base64
from typing import Any

import pytest

from payments.api.requests import UnsupportedMediaType, json_body
from payments.core.faults import InvalidRequest

ASCII_BODY = b'{"payment_id": "pay_1"}'
UTF_8_BODY = '{"payment_id": "payé"}'.encode()
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _event(content_type: str, body: bytes = ASCII_BODY, *, base64_encoded: bool) -> dict[str, Any]:
    sent = base64.b64encode(body) if base64_encoded else body
    return {
        "headers": {"Content-Type": content_type},
        "multiValueHeaders": {"Content-Type": [content_type]},
        "body": sent.decode(),
        "isBase64Encoded": base64_encoded,
    }


@pytest.fixture(params=[False, True], ids=["as text", "in base64"])
def base64_encoded(request: pytest.FixtureRequest) -> bool:
    """Whether API Gateway hands the body over in base64."""
    return bool(request.param)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ",
        "application/json;",
        "application/json ; ",
        "application/json;;",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json; charset=utf8",
        "application/json; charset=Utf8;",
        'application/json; charset="utf-8"',
        'application/json; charset="UTF8" ; ',
        r'application/json; charset="utf\-8"',
        "application/json; CHARSET=utf-8",
        "application/json\t;\tcharset\t=\tutf-8",
        "application/json; charset=utf-8; charset=UTF8",
        "application/json; odata.metadata=minimal; charset=utf-8",
        'application/json; profile="a; charset=latin-1"',
    ],
)
def test_json_declared_as_utf_8_is_read_however_that_is_written(
    content_type: str, *, base64_encoded: bool
) -> None:
    event = _event(content_type, UTF_8_BODY, base64_encoded=base64_encoded)
    assert json_body(event) == UTF_8_BODY.decode()


@pytest.mark.parametrize("charset", ["us-ascii", "US-ASCII", '"us-ascii"', "ascii"])
def test_json_declared_as_ascii_is_read(charset: str, *, base64_encoded: bool) -> None:
    event = _event(f"application/json; charset={charset}", base64_encoded=base64_encoded)
    assert json_body(event) == ASCII_BODY.decode()


def test_a_body_that_is_not_the_ascii_it_is_declared_as_is_refused(*, base64_encoded: bool) -> None:
    event = _event("application/json; charset=us-ascii", UTF_8_BODY, base64_encoded=base64_encoded)
    with pytest.raises(InvalidRequest) as refused:
        json_body(event)
    [fault] = refused.value.errors
    assert (fault.field, fault.code) == ("body", "not_utf8")
    assert fault.message == "must have ASCII characters only, as charset=us-ascii says, or be UTF-8"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        ";",
        "; charset=utf-8",
        "application/jsonx",
        "application/json, text/plain",
        "application/json charset=utf-8",
        "application/json; charset=iso-8859-1",
        "application/json; charset=latin1",
        "application/json; charset=windows-1252",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8-sig",
        "application/json; charset=utf_8",
        "application/json; charset=",
        'application/json; charset=""',
        "application/json; charset",
        'application/json; charset="utf-8',
        "application/json; charset=utf-8, text/plain",
        "application/json; charset=utf-8 utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; charset=ＵＴＦ-8",
        "application/json; charset=utf-8\x00",
    ],
)
def test_what_is_not_declared_as_json_in_utf_8_or_ascii_is_unsupported(
    content_type: str, *, base64_encoded: bool
) -> None:
    with pytest.raises(UnsupportedMediaType):
        json_body(_event(content_type, base64_encoded=base64_encoded))


def test_one_byte_order_mark_is_no_part_of_the_body(*, base64_encoded: bool) -> None:
    event = _event("application/json", BYTE_ORDER_MARK + UTF_8_BODY, base64_encoded=base64_encoded)
    assert json_body(event) == UTF_8_BODY.decode()
    twice = BYTE_ORDER_MARK * 2 + UTF_8_BODY
    event = _event("application/json", twice, base64_encoded=base64_encoded)
    assert json_body(event) == "\ufeff" + UTF_8_BODY.decode()


@pytest.mark.parametrize("body", [UTF_8_BODY.decode().encode("utf-16"), b'{"a": "\xe9"}'])
def test_a_body_in_another_encoding_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        json_body(_event("application/json", body, base64_encoded=True))
    [fault] = refused.value.errors
    assert (fault.field, fault.code) == ("body", "not_utf8")


def test_a_long_content_type_is_read_in_no_time(*, base64_encoded: bool) -> None:
    for content_type in (
        "application/json" + "; " * 5000 + "x",
        'application/json; a="' + "\\" * 10_000,
        "application/json" + " " * 10_000 + "x",
    ):
        with pytest.raises(UnsupportedMediaType):
            json_body(_event(content_type, base64_encoded=base64_encoded))
