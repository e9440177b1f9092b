"""The console in a real browser: for everybody, by keyboard, on a phone, and pleasant to use."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from operations.api import NoAnswer
from operations.console import command
from tests.browser import __main__ as pictures
from tests.browser import axe, sample
from tests.unit.operations.console_server import Served, served
from tests.unit.operations.fake_api import Reply, payment

pytestmark = pytest.mark.xdist_group("browser")

DESK: ViewportSize = {"width": 1280, "height": 820}
PHONE: ViewportSize = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console with something on every page."""
    with served(tmp_path_factory.mktemp("console")) as serves:
        sample.fill(serves)
        yield serves


@pytest.fixture
def errors() -> list[str]:
    """What the browser complained of, such as something that the pages' policy forbids."""
    return []


@pytest.fixture
def page(browser: Browser, console: Served, errors: list[str]) -> Iterator[Page]:
    """The operator's browser, in Berlin."""
    context = browser.new_context(viewport=DESK, timezone_id="Europe/Berlin")
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    enter(page, console)
    yield page
    context.close()


def enter(page: Page, console: Served) -> None:
    console.session.key = "the-key"
    page.goto(console.session.door)
    page.wait_for_url("**/payments")


@pytest.mark.parametrize("name", sample.PAGES)
def test_a_page_is_for_everybody(page: Page, console: Served, errors: list[str], name: str) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        page.goto(console.session.origin + sample.PAGES[name])
        assert axe.violations(page) == [], scheme
    page.set_viewport_size(PHONE)
    assert axe.violations(page) == [], "on a phone"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert [each for each in errors if "404" not in each] == []


EMPTY = {"data": [], "has_more": False, "complete_until": "2026-03-12T19:08:01.123456Z"}
RUNNING = f"/batches/batch_{'1' * 32}"
SEEN_SOON = f"/batches/{sample.BATCH_ID}"
STATES: dict[str, tuple[str, Reply, str]] = {
    "no payments": ("/payments", (200, EMPTY), "No payments yet. Make one, or upload a file."),
    "no such payments": ("/payments?status=FAILED", (200, EMPTY), "No payments with these filters"),
    "nothing on this page": (
        "/payments?status=FAILED",
        (200, {**EMPTY, "has_more": True, "next_cursor": "c"}),
        "The next page may have some.",
    ),
    "a list that is refused": (
        "/payments?cursor=x",
        (400, {"detail": "The cursor is of another list.", "errors": []}),
        "400 The cursor is of another list.",
    ),
    "no answer": ("/payments/pay_quiet", NoAnswer("timed out"), "That did not work"),
    "nothing to review": ("/reviews", (200, EMPTY), "Nothing waits for a decision."),
    "reviews that one may not see": ("/reviews", (403, {"detail": "Not you."}), "403 Not you."),
    "a file that is paid": (
        RUNNING,
        (200, sample.running(accepted=6, completed=3)),
        "8 rows read, 3 of 6 payments final.",
    ),
    "a file that is tried": (RUNNING, (200, sample.running(dry_run=True)), "8 rows read. This"),
    "a file that is not seen yet": (SEEN_SOON, (404, {}), "The file is seen in a few seconds"),
    "a file that nobody knows": (RUNNING, (404, {}), "No such batch"),
}
"""Pages on which there is little or something went wrong: what the API answers, and what is told."""


@pytest.mark.parametrize("state", STATES)
def test_a_page_with_little_or_with_trouble_is_for_everybody(
    page: Page, console: Served, state: str
) -> None:
    address, reply, told = STATES[state]
    asked = f"GET {address.partition('?')[0]}"
    kept = console.api.replies.get(asked)
    console.api.on(asked, reply)
    try:
        page.goto(console.session.origin + address)
        expect(page.locator("main")).to_contain_text(told)
        assert axe.violations(page) == []
        page.set_viewport_size(PHONE)
        assert axe.violations(page) == [], "on a phone"
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    finally:
        console.api.replies.pop(asked)
        if kept is not None:
            console.api.replies[asked] = kept


def test_the_printed_address_shows_the_payments_and_is_gone_from_the_address_bar(
    page: Page, console: Served
) -> None:
    assert page.url == f"{console.session.origin}/payments"
    expect(page.get_by_role("heading", name="Payments", level=1)).to_be_visible()


def test_a_file_of_the_operators_opens_the_console(
    browser: Browser, console: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the command opens the browser, so that no list of processes shows the address."""
    opened: list[tuple[str, int]] = []

    def note(url: str) -> None:
        opened.append((url, Path(url.removeprefix("file://")).stat().st_mode & 0o777))
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.wait_for_url("**/payments")
        expect(page.get_by_role("heading", name="Payments", level=1)).to_be_visible()
        context.close()

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", note)
    console.session.key = "the-key"
    with command._opened(console.session.door):
        [(url, mode)] = opened
        assert mode == 0o600
        assert "the-key" not in url
    assert list((tmp_path / "payments").iterdir()) == []


def test_another_browser_sees_nothing(browser: Browser, console: Served) -> None:
    context = browser.new_context()
    stranger = context.new_page()
    stranger.goto(f"{console.session.origin}/payments")
    expect(stranger.locator("body")).to_contain_text("This console is somebody's own.")
    context.close()


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Find a payment by its id")
    expect(search).to_be_focused()
    page.keyboard.type("pay_9f3c146f2f0e")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="99.99 USD Completed")).to_be_visible()
    refund = page.get_by_role("link", name="Refund")
    refund.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Amount in USD")).to_have_value("90.00")


def test_times_are_in_utc_and_in_the_readers_zone(page: Page) -> None:
    first = page.locator("time").first
    expect(first).to_contain_text("12 Mar 2026, 19:03:58 UTC")
    expect(first).to_contain_text("8:03:58 PM here")


def test_what_a_refund_will_do_is_told_while_it_is_typed(page: Page, console: Served) -> None:
    page.goto(f"{console.session.origin}/payments/pay_9f3c146f2f0e/refund")
    amount, will = page.get_by_label("Amount in USD"), page.locator("[data-will]")
    for typed, told in (
        ("0.1", "The customer gets 0.10 USD; 89.90 USD can still be given back."),
        ("90", "The customer gets 90.00 USD; 0.00 USD can still be given back."),
        ("90.01", "An amount above 0, of at most 90.00 USD."),
        ("0.001", "An amount above 0, of at most 90.00 USD."),
        ("1e1", "An amount above 0, of at most 90.00 USD."),
    ):
        amount.fill(typed)
        expect(will).to_have_text(told)


def test_a_double_click_is_one_refund(page: Page, console: Served) -> None:
    console.api.on("POST /payments/pay_9f3c146f2f0e/refunds", (202, {"refund_id": "re_3"}))
    page.goto(f"{console.session.origin}/payments/pay_9f3c146f2f0e/refund")
    before = len(console.api.asked)
    page.get_by_role("button", name="Refund").dblclick()
    page.wait_for_url("**/payments/pay_9f3c146f2f0e")
    sent = [asked for asked in console.api.asked[before:] if asked.method == "POST"]
    assert len({str(asked.body) for asked in sent}) == 1
    assert len(sent) == 1


def test_a_payment_that_moves_is_followed_without_losing_the_readers_place(
    page: Page, console: Served
) -> None:
    moving: dict[str, Any] = {"payment_id": "pay_moving", "history": []}
    done = payment("COMPLETED", **moving)
    states = [(200, payment("PROCESSING", **moving))] * 2
    console.api.on("GET /payments/pay_moving", *states, (200, done))
    page.goto(f"{console.session.origin}/payments/pay_moving")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Processing")
    page.evaluate("window.same = true")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed", timeout=15_000)
    assert page.evaluate("window.same"), "the page was loaded anew"
    assert page.locator("body").get_attribute("data-refresh") is None


def test_a_file_can_be_dropped_and_its_dry_run_is_shown(page: Page, console: Served) -> None:
    page.goto(f"{console.session.origin}/batches")
    transfer = page.evaluate_handle(
        "() => { const t = new DataTransfer();"
        " t.items.add(new File(['payment_id,amount,currency\\n'], 'dropped.csv')); return t; }"
    )
    form = page.locator("[data-drop]")
    form.dispatch_event("dragenter", {"dataTransfer": transfer})
    form.dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator("[data-chosen]")).to_contain_text("dropped.csv")
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.get_by_role("heading", name="dropped.csv")).to_be_visible()
    assert any(key.endswith("/dropped.csv") for _, key in console.bucket.objects)


@pytest.mark.parametrize("elsewhere", ["http://evil.example", "http://127.0.0.1:9"])
def test_a_page_of_another_site_can_neither_read_nor_change_anything(
    page: Page, console: Served, elsewhere: str
) -> None:
    """Even in the operator's own browser, which sends the cookie to any port of this machine."""
    target = f"{console.session.origin}/payments/pay_9f3c146f2f0e/cancel"
    form = f"<form method=post action={target}><input name=token value=guess><button>Go</button>"
    page.route(
        f"{elsewhere}/",
        lambda route: route.fulfill(content_type="text/html", body=f"<!doctype html>{form}</form>"),
    )
    page.goto(f"{elsewhere}/")
    read = page.evaluate(
        "origin => fetch(origin + '/payments', {credentials: 'include'}).then(a => a.text(), () => '')",
        console.session.origin,
    )
    assert read == ""
    before = len([asked for asked in console.api.asked if asked.method == "POST"])
    with page.expect_navigation() as leads:
        page.get_by_role("button", name="Go").click()
    assert leads.value is not None
    assert leads.value.status == HTTPStatus.FORBIDDEN
    assert len([asked for asked in console.api.asked if asked.method == "POST"]) == before


def test_the_books_are_proved_and_readable_for_everybody(page: Page, console: Served) -> None:
    page.goto(f"{console.session.origin}/books")
    page.get_by_role("button", name="Prove the books").click()
    expect(page.get_by_text("The books are right.")).to_be_visible()
    assert axe.violations(page) == []


def test_every_page_works_without_its_script(browser: Browser, console: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    enter(plain, console)
    plain.get_by_role("searchbox").fill("pay_9f3c146f2f0e")
    plain.get_by_role("button", name="Find").click()
    plain.get_by_role("link", name="Refund").click()
    console.api.on("POST /payments/pay_9f3c146f2f0e/refunds", (202, {"refund_id": "re_4"}))
    plain.get_by_label("Amount in USD").fill("1.00")
    plain.get_by_role("button", name="Refund").click()
    expect(plain.get_by_role("heading", name="99.99 USD Completed")).to_be_visible()
    assert console.api.asked[-1].method == "GET"
    context.close()


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_the_pictures_show_the_console_as_it_is(name: str) -> None:
    with Image.open(pictures.DOCS / name) as picture:
        assert picture.info[pictures.FINGERPRINT] == pictures.fingerprint(), "make console-pictures"
