"""The console as people use it: a real browser, a protected environment, IAM users of their own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import axe, chromium
from tests.e2e.operators import Operator

PATIENCE = 60_000  # milliseconds until something that was asked for has happened
BAD_ROWS = """payment_id,amount,currency
{first},10.00,USD
bad id,10.00,USD
{second},1.000,EUR
{third},20.00,EUR
"""


@contextlib.contextmanager
def console_of(operator: Operator) -> Iterator[str]:
    """Serve a console with somebody's credentials; the value is the address that it prints."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "operations", "--env", operator.environment.suffix),
            *("console", "--no-browser"),
        ],
        env={**operator.shell, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            printed = ""
            for line in process.stdout or ():
                printed += line
                if found := re.search(r"http://127\.0\.0\.1:\d+/\?key=\S+", printed):
                    yield found[0]
                    break
            else:
                raise AssertionError(printed)
        finally:
            process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = chromium.find()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found.path, args=found.args)
        yield started
        started.close()


@contextlib.contextmanager
def at_work(browser: Browser, operator: Operator) -> Iterator[Page]:
    """Open somebody's console in a browser of their own; every page that they see is for everybody."""
    with console_of(operator) as address:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_url("**/payments")
        try:
            yield page
            assert axe.violations(page) == []
        finally:
            if folder := os.environ.get("CONSOLE_PICTURES"):
                page.screenshot(path=Path(folder) / f"{operator.access_key}.png", full_page=True)
            context.close()


@pytest.fixture(scope="module")
def support(operator: Callable[..., Operator]) -> Operator:
    return operator("support", "uploads", "on-call")


@pytest.fixture(scope="module")
def desk(browser: Browser, support: Operator) -> Iterator[Page]:
    """The console of somebody who helps customers, uploads files and is on call."""
    with at_work(browser, support) as page:
        yield page


def pay(page: Page, amount: str, currency: str) -> str:
    """Make a payment as a person does, and return its id."""
    page.goto(page.url.partition("/payments")[0].rstrip("/") + "/pay")
    page.get_by_label("Amount").fill(amount)
    page.get_by_label("Currency").fill(currency)
    payment_id = page.get_by_label("Payment id").input_value()
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url(f"**/payments/{payment_id}")
    return payment_id


def title(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def test_a_payment_is_made_and_followed_to_its_end(desk: Page) -> None:
    pay(desk, "99.99", "USD")
    expect(desk.get_by_role("heading", level=1)).to_contain_text("Completed", timeout=PATIENCE)
    assert title(desk).startswith("99.99 USD")
    expect(desk.get_by_text(re.compile(r"The chain of \d records holds\."))).to_be_visible()


def test_a_payment_that_is_declined_says_why(desk: Page) -> None:
    pay(desk, "400.01", "USD")
    expect(desk.get_by_role("heading", level=1)).to_contain_text("Failed", timeout=PATIENCE)
    expect(desk.locator(".note.bad")).to_contain_text("insufficient_funds")


def test_a_file_with_bad_rows_is_tried_then_paid(
    desk: Page, payment_id: Callable[[], str], tmp_path: Path
) -> None:
    first, second, third = payment_id(), payment_id(), payment_id()
    file = tmp_path / "märz & co.csv"
    file.write_text(BAD_ROWS.format(first=first, second=second, third=third))
    desk.get_by_role("link", name="Files").click()
    desk.get_by_label("Drop a CSV file here").set_input_files(file)
    desk.get_by_role("button", name="Show what it would do").click()
    pays = desk.get_by_role("button", name="Pay this file")
    expect(pays).to_be_visible(timeout=PATIENCE)
    expect(desk.get_by_role("heading", level=1)).to_contain_text("märz & co.csv Completed")
    rejected = desk.locator("section", has=desk.get_by_role("heading", name="Rejected rows"))
    expect(rejected).to_contain_text("ambiguous_amount")
    expect(rejected).to_contain_text("bad id")
    expect(desk.locator(".will")).to_contain_text("This pays 2 of 4 rows in staging")
    assert axe.violations(desk) == []
    with desk.expect_download() as download:
        desk.get_by_role("link", name="rejected-00000.csv").click()
    assert "bad id" in download.value.path().read_text()
    pays.click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("Completed", timeout=PATIENCE)
    expect(
        desk.locator("dl", has_text="Completed").get_by_text("2", exact=True).first
    ).to_be_visible()
    desk.goto(f"{desk.url.partition('/batches')[0]}/payments/{third}")
    expect(desk.get_by_role("heading", level=1)).to_contain_text("20.00 EUR Completed")


def test_payments_are_found_by_what_they_are(desk: Page) -> None:
    payment_id = pay(desk, "31.50", "CHF")
    desk.get_by_role("link", name="Payments", exact=True).first.click()
    desk.get_by_label("Currency").fill("CHF")
    desk.get_by_role("button", name="Filter").click()
    expect(desk.get_by_role("row", name=re.compile(rf"31\.50 CHF .*{payment_id}"))).to_be_visible()
    expect(desk.locator("tbody tr")).to_have_count(1)
    assert axe.violations(desk) == []
    desk.get_by_role("link", name=payment_id).click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("31.50 CHF")


def test_a_payment_is_refunded_twice_until_nothing_is_left(desk: Page) -> None:
    pay(desk, "50.00", "USD")
    expect(desk.get_by_role("heading", level=1)).to_contain_text("Completed", timeout=PATIENCE)
    operations = desk.locator("section", has=desk.get_by_role("heading", name="Refunds, captures"))
    for number, (amount, left) in enumerate((("20.00", "50.00"), ("30.00", "30.00")), start=1):
        desk.get_by_role("link", name="Refund", exact=True).click()
        expect(desk.get_by_label("Amount in USD")).to_have_value(left)
        desk.get_by_label("Amount in USD").fill(amount)
        desk.get_by_label("Reason").fill("damaged")
        desk.get_by_role("button", name="Refund").click()
        completed = operations.get_by_text("Completed", exact=True)
        expect(completed).to_have_count(number, timeout=PATIENCE)
        assert axe.violations(desk) == []
    expect(desk.locator(".tiles")).to_contain_text("Refunded 50.00 USD", use_inner_text=True)
    expect(desk.get_by_role("link", name="Refund", exact=True)).to_have_count(0)


def test_a_large_payment_and_its_refund_wait_for_a_second_person(
    desk: Page, browser: Browser, operator: Callable[..., Operator]
) -> None:
    payment_id = pay(desk, "50000.01", "USD")
    heading = desk.get_by_role("heading", level=1)
    expect(heading).to_contain_text("In review", timeout=PATIENCE)
    desk.get_by_role("link", name="Review", exact=True).click()
    desk.get_by_label("Note").fill("it is mine")
    desk.get_by_role("button", name="Approve").click()
    # Support has no right to decide; that nobody decides about their own is in test_reviews.py.
    expect(desk.get_by_role("alert")).to_contain_text("403")
    with at_work(browser, operator("approver")) as other:

        def decide(verb: str) -> None:
            other.get_by_role("link", name="Reviews").click()
            waits = other.get_by_role("row", name=re.compile(payment_id))
            expect(waits).to_contain_text("test-support-uploads-on-call")
            assert axe.violations(other) == []
            waits.get_by_role("link", name=re.compile("^Review ")).click()
            other.get_by_label("Note").fill("looked at the contract")
            assert axe.violations(other) == []
            other.get_by_role("button", name=verb).click()

        decide("Approve")
        expect(other.get_by_role("heading", level=1)).to_contain_text("Completed", timeout=PATIENCE)
        desk.goto(f"{desk.url.partition('/payments')[0]}/payments/{payment_id}")
        desk.get_by_role("link", name="Refund", exact=True).click()
        desk.get_by_role("button", name="Refund").click()
        refunds = "section:has(#operations)"
        expect(desk.locator(refunds)).to_contain_text("In review")
        decide("Reject")
        expect(other.locator(refunds)).to_contain_text("review_rejected")
    desk.reload()
    expect(desk.get_by_role("link", name="Refund", exact=True)).to_be_visible()


def test_health_is_seen_by_who_is_on_call(desk: Page) -> None:
    desk.get_by_role("link", name="Health").click()
    expect(desk.get_by_role("heading", name="Queues")).to_be_visible()
    expect(desk.locator("main")).to_contain_text("payment-events-dlq")
    expect(desk.locator("main")).not_to_contain_text("You may not see this")
