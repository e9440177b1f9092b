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
from payments.batches.reports import NOT_PAID_COLUMNS, REPORT_COLUMNS

SHOWN_ROWS: Final = 10
"""How many rows of each report are shown."""

_SHOWN_CHARACTERS: Final = 300
_SHOWN_CURRENCIES: Final = 10

LINE, _FIELD, _CODE, _MESSAGE, _ = REPORT_COLUMNS
NOT_PAID_LINE, NOT_PAID_ID, OUTCOME = NOT_PAID_COLUMNS
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
    others = Counter({outcome: report.summary[outcome] for outcome in ("duplicate", "conflict")})
    for row in report.not_paid:
        others[row[OUTCOME]] -= 1
        what = "was not paid again" if row[OUTCOME] == "duplicate" else "is another payment's id"
        yield f"line {row[NOT_PAID_LINE]}: {row[NOT_PAID_ID]} {what}"
    if more := others.total():
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in others.items() if count)
        yield f"and {more:,} more {_plural('row', 'rows', more)} not paid: {outcomes}"


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
