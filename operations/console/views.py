"""How money, times and statuses are shown in pages."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from markupsafe import Markup

from payments.core.payment import PaymentStatus

_TONE_OF_COLOUR: Final = {
    "green": "good",
    "blue": "info",
    "cyan": "info",
    "yellow": "wait",
    "magenta": "wait",
    "bright_black": "calm",
    "red": "bad",
}
"""The page's tone for each colour that a terminal shows a payment's status in."""

TONES: Final = {
    **{status.value: _TONE_OF_COLOUR[status.colour] for status in PaymentStatus},
    "OK": "good",
    "INSUFFICIENT_DATA": "calm",
    "REFUSED": "bad",
    "ALARM": "bad",
}
"""The tone of a status; the word stands beside it, so that nobody needs the colour."""

_WORDS: Final = {"INSUFFICIENT_DATA": "No data"}

ACTIVE: Final = frozenset(status.value for status in PaymentStatus if status.is_open)
"""Statuses of payments and operations that change by themselves, so the page reloads itself."""


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


def tone(value: object) -> str:
    """Return the tone of a status, or of what reached one; ``calm`` where it has none.

    >>> tone("FAILED"), tone("refund COMPLETED"), tone("announcement")
    ('bad', 'good', 'calm')
    """
    return TONES.get(str(value).rpartition(" ")[2], "calm")


def status(value: object) -> Markup:
    """Return a status as a badge: a word with a tone.

    >>> status("IN_REVIEW")
    Markup('<span class="badge wait">In review</span>')
    """
    text = str(value)
    word = _WORDS.get(text, text.replace("_", " ").capitalize())
    return Markup('<span class="badge {}">{}</span>').format(tone(text), word)
