"""How money, times and statuses are shown in pages."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from markupsafe import Markup

TONES: Final = {
    "COMPLETED": "good",
    "OK": "good",
    "AUTHORIZED": "info",
    "PROCESSING": "info",
    "PENDING": "wait",
    "IN_REVIEW": "wait",
    "INSUFFICIENT_DATA": "calm",
    "CANCELED": "calm",
    "FAILED": "bad",
    "REFUSED": "bad",
    "ALARM": "bad",
}
"""The tone of a status; the word stands beside it, so that nobody needs the colour."""

_WORDS: Final = {"IN_REVIEW": "In review", "INSUFFICIENT_DATA": "No data"}

ACTIVE: Final = frozenset({"PENDING", "PROCESSING"})
"""Statuses that change by themselves, so that a page is looked at again."""


def money(amount: object, currency: object = "") -> str:
    """Return an amount as its currency is written, with thousands apart.

    >>> money("1234567.50", "USD"), money("1500", "JPY"), money("-0.0001", "CLF")
    ('1,234,567.50 USD', '1,500 JPY', '-0.0001 CLF')
    """
    text = str(amount)
    try:
        number = Decimal(text)
        shown = f"{number:,}" if number.is_finite() else text
    except InvalidOperation:
        shown = text
    return f"{shown} {currency}".strip()


def moment(value: object) -> Markup:
    """Return a time in UTC; the script adds the reader's own.

    >>> moment("2026-03-12T19:03:58.123456Z")
    Markup('<time datetime="2026-03-12T19:03:58Z">12 Mar 2026, 19:03:58 UTC</time>')
    """
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return Markup("{}").format(str(value))
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC"
    )


def status(value: object) -> Markup:
    """Return a status as a badge: a word with a tone.

    >>> status("IN_REVIEW")
    Markup('<span class="badge wait">In review</span>')
    """
    text = str(value)
    word = _WORDS.get(text, text.replace("_", " ").capitalize())
    return Markup('<span class="badge {}">{}</span>').format(TONES.get(text, "calm"), word)
