"""What stands between a browser and the operator's credentials."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.unit.operations.console_server import Served, served
from tests.unit.operations.fake_api import payment


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console with one payment."""
    with served(tmp_path_factory.mktemp("console")) as serves:
        serves.api.on("GET /payments", (200, {"data": [payment()], "has_more": False}))
        serves.api.on("GET /payments/pay_1", (200, payment(history=[])))
        serves.api.on("POST /payments/pay_1/cancel", (202, payment("CANCELED")))
        yield serves


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil"],
)
def test_another_name_that_leads_here_is_refused(console: Served, host: str) -> None:
    """DNS rebinding: a name of the attacker's that resolves to this machine."""
    port = console.session.authority.rpartition(":")[2]
    headers = {"Host": host.format(port=port), "Cookie": console.cookie}
    answer, text = console.ask("GET", "/payments", headers=headers)
    assert answer.status == HTTPStatus.MISDIRECTED_REQUEST
    assert "pay_1" not in text


@pytest.mark.parametrize("cookie", ["", "{name}=", "{name}=guess", "other={value}"])
@pytest.mark.parametrize("path", ["/payments", "/static/console.css", "/payments/pay_1/refund"])
def test_without_the_sessions_cookie_nothing_is_shown(
    console: Served, cookie: str, path: str
) -> None:
    made = cookie.format(name=console.session.cookie_name, value=console.session.cookie)
    answer, text = console.ask("GET", path, headers={"Cookie": made} if made else {})
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "pay_1" not in text


def test_the_printed_address_opens_one_browser_once(tmp_path: Path) -> None:
    with served(tmp_path) as serves:
        door = serves.session.door.removeprefix(serves.session.origin)
        assert serves.ask("GET", "/?key=guess")[0].status == HTTPStatus.FORBIDDEN
        assert serves.ask("HEAD", door)[0].status == HTTPStatus.FORBIDDEN
        opened, text = serves.ask("GET", door)
        assert opened.status == HTTPStatus.OK
        cookie = str(opened.getheader("set-cookie"))
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {
            each.strip() for each in cookie.split(";")
        }
        assert serves.ask("GET", door)[0].status == HTTPStatus.FORBIDDEN
        assert 'url=/payments"' in text


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "https://{authority}",
        "http://localhost:1",
        "http://127.0.0.1",
    ],
)
def test_a_change_comes_from_a_page_of_ours(console: Served, origin: str | None) -> None:
    headers = {"Cookie": console.cookie, "Content-Type": "application/x-www-form-urlencoded"}
    if origin is not None:
        headers["Origin"] = origin.format(authority=console.session.authority)
    before = len(console.api.asked)
    answer, _ = console.ask(
        "POST", "/payments/pay_1/cancel", f"token={console.session.token}", headers
    )
    assert answer.status == HTTPStatus.FORBIDDEN
    assert len(console.api.asked) == before


@pytest.mark.parametrize("body", ["", "token=", "token=guess", "reason=x"])
@pytest.mark.parametrize(
    "path",
    [
        "/pay",
        "/payments/pay_1/refund",
        "/payments/pay_1/review",
        "/batches",
        "/batches/pay",
        "/books",
        "/health",
        "/unanswered",
    ],
)
def test_a_change_has_the_sessions_token(console: Served, path: str, body: str) -> None:
    headers = {
        "Cookie": console.cookie,
        "Origin": console.session.origin,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    before = len(console.api.asked)
    answer, _ = console.ask("POST", path, body, headers)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert len(console.api.asked) == before
    assert not console.redriven


def test_with_all_of_it_a_change_is_made(console: Served) -> None:
    answer, _ = console.post("/payments/pay_1/cancel", "operation_id=c&reason=duplicate")
    assert answer.status == HTTPStatus.SEE_OTHER
    assert console.api.asked[-1].body == {"reason": "duplicate"}


@pytest.mark.parametrize("path", ["/payments", "/pay", "/nowhere", "/static/console.js"])
def test_a_page_may_load_and_run_nothing_of_others(console: Served, path: str) -> None:
    answer, _ = console.ask("GET", path, headers={"Cookie": console.cookie})
    policy = str(answer.getheader("content-security-policy"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert answer.getheader("x-content-type-options") == "nosniff"
    assert answer.getheader("cache-control") == "no-store"
    assert answer.getheader("access-control-allow-origin") is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_change_nothing(console: Served, method: str) -> None:
    headers = {"Cookie": console.cookie, "Origin": console.session.origin}
    before = len(console.api.asked)
    answer, _ = console.ask(method, "/payments/pay_1/cancel", headers=headers)
    assert answer.status >= HTTPStatus.BAD_REQUEST
    assert len(console.api.asked) == before


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_no_file_but_the_pages_own_is_served(console: Served, path: str) -> None:
    answer, text = console.ask("GET", path, headers={"Cookie": console.cookie})
    assert answer.status == HTTPStatus.NOT_FOUND
    assert "import" not in text
