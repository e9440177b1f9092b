"""What became of a batch: a few lines to read, however many rows the file had."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from botocore.response import StreamingBody

from operations.screen import visible
from payments.batches.reports import NOT_PAID_COLUMNS, REFUSED_COLUMNS, REPORT_COLUMNS

SHOWN_ROWS: Final = 10
"""How many rows of each report are shown."""

_SHOWN_CHARACTERS: Final = 300
_SHOWN_CURRENCIES: Final = 10

LINE, _FIELD, _CODE, _MESSAGE, _ = REPORT_COLUMNS
NOT_PAID_LINE, NOT_PAID_ID, OUTCOME = NOT_PAID_COLUMNS
REFUSED_CODE, REFUSED_MESSAGE = REFUSED_COLUMNS
NOT_PAID_OUTCOMES: Final = ("duplicate", "conflict", "refused")
_BETWEEN_FAULTS: Final = "; "

type Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a batch.

    Attributes:
        summary: what `GET /batches/{batch_id}` answers.
        rejected: the first rejected rows, at most ``SHOWN_ROWS``.
        other_codes: how many of the other rejected rows have each code.
        not_paid: the first rows that were accepted and not paid, at most ``SHOWN_ROWS``.
    """

    summary: Mapping[str, Any]
    rejected: list[Row]
    other_codes: Counter[str]
    not_paid: list[Row]


def rows(body: StreamingBody) -> Iterator[Row]:
    """Yield the rows of one report, of which never more than one is in memory."""
    # Its stub has no seek and no write, which nobody needs here.
    with io.TextIOWrapper(body, encoding="utf-8-sig", newline="") as text:  # type: ignore[type-var]
        yield from csv.DictReader(text)


def read(summary: Mapping[str, Any], rows_at: Callable[[str], Iterable[Row]]) -> Report:
    """Read the reports of a batch, and keep what will be shown.

    Args:
        summary: what `GET /batches/{batch_id}` answers.
        rows_at: yields the rows of the report at an S3 URI.
    """
    rejected = chain.from_iterable(map(rows_at, summary["reports"]["rejected"]))
    first = list(islice(rejected, SHOWN_ROWS))
    codes = (set(row[_CODE].split(_BETWEEN_FAULTS)) for row in rejected)
    not_paid = chain.from_iterable(map(rows_at, summary["reports"]["not_paid"]))
    return Report(
        summary=summary,
        rejected=first,
        other_codes=Counter(chain.from_iterable(codes)),
        not_paid=list(islice(not_paid, SHOWN_ROWS)),
    )


def lines(report: Report) -> list[str]:
    """Return what is told of the rows that were not paid, and where to read about all of them."""
    told = [*_about_rejected(report), *_about_not_paid(report)]
    return [*map(shown, told), *_about_files(report.summary)]


def sums(amounts: Mapping[str, str]) -> str:
    """Return sums by currency in words, those of the first currencies only if there are many."""
    told = [
        f"{amount} {currency}" for currency, amount in islice(amounts.items(), _SHOWN_CURRENCIES)
    ]
    if more := len(amounts) - len(told):
        told.append(f"and of {more} more {_plural('currency', 'currencies', more)}")
    return ", ".join(told)


def shown(text: str) -> str:
    """Return text as one line for a terminal: invisible characters escaped, and not too long."""
    told = visible(text[: _SHOWN_CHARACTERS + 1])
    return told if len(told) <= _SHOWN_CHARACTERS else f"{told[:_SHOWN_CHARACTERS]}…"


def _about_rejected(report: Report) -> Iterator[str]:
    for row in report.rejected:
        yield f"line {row[LINE]}: {faults(row)}"
    if more := report.summary["rejected"] - len(report.rejected):
        codes = ", ".join(
            f"{code} in {count:,}" for code, count in report.other_codes.most_common()
        )
        yield f"and {more:,} more rejected {_plural('row', 'rows', more)}: {codes}"


def faults(row: Row) -> str:
    """Return every fault of a rejected row in one line."""
    fields, codes, messages = (
        row[part].split(_BETWEEN_FAULTS) for part in (_FIELD, _CODE, _MESSAGE)
    )
    if not len(fields) == len(codes) == len(messages):
        # A message may have a semicolon of its own.
        return f"{row[_FIELD]} {row[_MESSAGE]} ({row[_CODE]})"
    each_fault = zip(fields, codes, messages, strict=True)
    return _BETWEEN_FAULTS.join(
        f"{field} {message} ({code})" for field, code, message in each_fault
    )


def _about_not_paid(report: Report) -> Iterator[str]:
    others = Counter({outcome: report.summary.get(outcome, 0) for outcome in NOT_PAID_OUTCOMES})
    for row in report.not_paid:
        others[row[OUTCOME]] -= 1
        yield f"line {row[NOT_PAID_LINE]}: {row[NOT_PAID_ID]} {why_not_paid(row)}"
    if more := others.total():
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in others.items() if count)
        yield f"and {more:,} more {_plural('row', 'rows', more)} not paid: {outcomes}"


def why_not_paid(row: Row) -> str:
    """Return why an accepted row of a file was not paid, or not refunded."""
    is_refund = REFUSED_CODE in row
    match row[OUTCOME]:
        case "duplicate":
            return "was not refunded again" if is_refund else "was not paid again"
        case "conflict":
            return "is another refund's id" if is_refund else "is another payment's id"
        case _:
            return f"was not refunded: {row[REFUSED_MESSAGE]} ({row[REFUSED_CODE]})"


def would_do(summary: Mapping[str, Any]) -> int:
    """Return how many accepted rows of a dry run would be paid, or refunded."""
    return int(summary["accepted"] - sum(summary.get(each, 0) for each in NOT_PAID_OUTCOMES))


def _about_files(summary: Mapping[str, Any]) -> Iterator[str]:
    reports = summary["reports"]
    for name, what in (("rejected", "All rejected rows"), ("not_paid", "All rows not paid")):
        if reports[name]:
            first, *others = reports[name]
            more = f" and {len(others):,} more" if others else ""
            yield f"{what}: {first}{more}"
    if reports["rejected"] or reports["not_paid"]:
        yield f"To download: payments batch report {summary['batch_id']}"


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many
