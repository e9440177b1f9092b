"""Files of refunds: read, tried, refunded and reported like files of payments; nobody twice."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from payments.aws.batches import BatchStore
from payments.aws.payments import PaymentStore
from payments.batches.batch import Batch, BatchKind, kind_of
from payments.batches.layout import REFUNDS
from payments.batches.records import RejectedRow, ValidRow, plan_file, read_rows
from payments.batches.steps import BatchProcessing
from payments.core.asking import Asked
from payments.core.content import RefundContent
from payments.core.messages import decode_message
from payments.core.operation import OperationKind
from payments.flows.charge import Charging
from payments.flows.operations import OperationIntake
from payments.runtime.payment_processor import Deliveries
from tests.unit.cloud import AT, TABLES, WITNESS, Cloud, payment_request, process

HEADER = "payment_id,refund_id,amount,reason\n"
KEY = "refunds/march.csv"
OUTCOMES = ("completed", "failed", "duplicate", "conflict", "refused")

type Refunding = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def paid(store: PaymentStore, charging: Charging) -> None:
    """Payments of 100.00 USD and 500 JPY that were charged, and one of 10.00 EUR that was not."""
    for payment_id, minor, currency in (("usd", 10000, "USD"), ("jpy", 500, "JPY")):
        store.create(payment_request(payment_id, minor, currency), actor="api", at=AT)
        charging.charge_by_id(payment_id, WITNESS)
    store.create(payment_request("eur", 1000, "EUR"), actor="api", at=AT)


def summary_of(cloud: Cloud, batch: Batch) -> dict[str, Any]:
    progress = BatchStore(cloud.dynamodb, TABLES.processing_status).progress(batch.batch_id)
    assert progress is not None
    return progress.describe()


def rows_of(cloud: Cloud, batch: Batch, name: str) -> list[dict[str, str]]:
    """Return the rows of a report of a batch."""
    return list(csv.DictReader(io.StringIO(report_of(cloud, batch, name).decode("utf-8-sig"))))


def report_of(cloud: Cloud, batch: Batch, name: str) -> bytes:
    answer = cloud.s3.get_object(Bucket="results", Key=f"{batch.batch_id}/{name}")
    return answer["Body"].read()


@pytest.fixture
def refund(batches: BatchProcessing, deliveries: Deliveries, cloud: Cloud) -> Refunding:
    """Upload a file, carry it to its end, and return the batch with its summary."""

    def refund(content: str | bytes, key: str = KEY, *, times: int = 1) -> dict[str, Any]:
        body = content.encode() if isinstance(content, str) else content
        batch = cloud.upload(body, key)
        process(batches, batch, len(body))
        for message in cloud.taken(cloud.rows_url):
            for _ in range(times):
                deliveries.deliver(decode_message(message["Body"]), WITNESS, is_first=True)
        assert batches.follow(batch, 2)["settled"]
        return {"batch": batch, **summary_of(cloud, batch)}

    return refund


def refunded(store: PaymentStore, payment_id: str = "usd") -> tuple[int, int]:
    """Return what was refunded of a payment and what is left, in minor units."""
    payment = store.get(payment_id)
    assert payment is not None
    return payment.amounts.refunded, payment.amounts.refundable


def outcomes(summary: Mapping[str, Any]) -> list[int]:
    return [summary[name] for name in OUTCOMES]


MIXED = (
    f"{HEADER}usd,r1,60.00,damaged\n"
    "usd,r1,60,damaged\n"
    "usd,r1,1.00,damaged\n"
    "usd,r2,60.00,\n"
    "usd,r3,40.00,\n"
    "usd,r4,0.01,\n"
    "jpy,r1,100,\n"
    "jpy,r2,1.50,\n"
    "jpy,r3,25.000,\n"
    "eur,r1,1.00,\n"
    "nobody,r1,1.00,\n"
)
"""Line 2 is refunded; 3 is the same again, 4 has another's id, 5 asks for too much, 6 for the rest."""

REFUSED = {
    "5": "exceeds_refundable",
    "7": "nothing_left",
    "9": "too_many_decimals",
    "10": "ambiguous_amount",
    "11": "payment_state",
    "12": "payment_not_found",
}


def test_every_row_becomes_a_refund_or_is_reported_with_why(
    refund: Refunding, store: PaymentStore, cloud: Cloud
) -> None:
    told = refund(MIXED)
    assert (told["kind"], told["rows"], told["accepted"], told["rejected"]) == (
        "refunds",
        11,
        11,
        0,
    )
    assert outcomes(told) == [3, 0, 1, 1, 6]
    assert told["accepted_amounts"] == {"JPY": "100", "USD": "100.00"}
    assert (refunded(store), refunded(store, "jpy")) == ((10000, 0), (100, 400))
    rows = rows_of(cloud, told["batch"], "not-paid-00000.csv")
    by_line = {row["[not paid line]"]: row for row in rows}
    assert {line: row["[not paid code]"] for line, row in by_line.items()} == {
        "3": "",
        "4": "",
        **REFUSED,
    }
    assert (by_line["3"]["[not paid outcome]"], by_line["4"]["[not paid outcome]"]) == (
        "duplicate",
        "conflict",
    )
    first = by_line["5"]
    assert (first["payment_id"], first["refund_id"], first["amount"]) == ("usd", "", "60.00")
    assert (first["[not paid id]"], first["[not paid message]"]) == (
        "r2",
        "is more than is left to refund",
    )


def test_a_dry_run_tells_what_the_real_run_then_does(
    refund: Refunding, store: PaymentStore, cloud: Cloud
) -> None:
    would = refund(MIXED, "refunds/dry-run/march.csv")
    assert (would["dry_run"], would["kind"]) == (True, "refunds")
    assert refunded(store) == (0, 10000)
    does = refund(MIXED)
    assert [would[each] for each in OUTCOMES[2:]] == [does[each] for each in OUTCOMES[2:]]
    assert would["accepted_amounts"] == does["accepted_amounts"]
    reports = [
        sorted(map(str, rows_of(cloud, told["batch"], "not-paid-00000.csv")))
        for told in (would, does)
    ]
    assert reports[0] == reports[1]


def test_a_dry_run_after_the_file_says_that_all_is_done(refund: Refunding) -> None:
    refund(MIXED)
    would = refund(MIXED, "dry-run/refunds/march.csv")
    # What was refunded has its id now; line 4 still asks for another amount under it.
    assert outcomes(would) == [0, 0, 4, 1, 6]
    assert would["accepted_amounts"] == {}


def test_a_range_of_a_dry_run_that_is_repeated_says_the_same(
    batches: BatchProcessing, cloud: Cloud
) -> None:
    body = MIXED.encode()
    batch = cloud.upload(body, "dry-run/refunds/march.csv")
    process(batches, batch, len(body))
    once = summary_of(cloud, batch)
    process(batches, batch, len(body))
    again = summary_of(cloud, batch)
    assert {**again, "updated_at": ""} == {**once, "updated_at": ""}
    assert outcomes(once) == [0, 0, 1, 1, 6]


@pytest.mark.parametrize("key", [KEY, "refunds/april.csv", "refunds/2026/again.csv"])
def test_the_same_file_again_refunds_nothing(
    refund: Refunding, store: PaymentStore, key: str
) -> None:
    content = f"{HEADER}usd,r1,60.00,damaged\nusd,r2,10,\n"
    assert outcomes(refund(content)) == [2, 0, 0, 0, 0]
    again = refund(content, key)
    assert outcomes(again) == [0, 0, 2, 0, 0]
    assert again["accepted_amounts"] == {}
    assert refunded(store) == (7000, 3000)


def test_messages_that_come_twice_refund_once_and_count_once(
    refund: Refunding, store: PaymentStore
) -> None:
    told = refund(MIXED, times=2)
    assert outcomes(told) == [3, 0, 1, 1, 6]
    assert refunded(store) == (10000, 0)


def test_a_refund_over_http_is_a_duplicate_or_a_conflict_of_a_row(
    refund: Refunding, operation_intake: OperationIntake, store: PaymentStore
) -> None:
    for refund_id, amount in (("r1", "5.00"), ("r2", "6.00")):
        operation_intake.refund(
            Asked(
                kind=OperationKind.REFUND,
                payment_id="usd",
                operation_id=refund_id,
                source="api",
                correlation_id="request-1",
                amount=amount,
            )
        )
    told = refund(f"{HEADER}usd,r1,5,\nusd,r2,5,\n")
    assert outcomes(told) == [0, 0, 1, 1, 0]
    assert refunded(store) == (0, 8900)


def test_reports_that_are_uploaded_unchanged_refund_nothing(
    refund: Refunding, store: PaymentStore, cloud: Cloud
) -> None:
    told = refund(MIXED + "usd,bad id,1.00,x\nusd,r9,,x\nusd,r9,1,x,y\n")
    before = refunded(store), refunded(store, "jpy")
    reports = [*told["reports"]["not_paid"], *told["reports"]["rejected"]]
    assert len(reports) == 2
    for uri in reports:
        again = refund(report_of(cloud, told["batch"], uri.rpartition("/")[2]))
        assert (again["accepted"], again["rejected"]) == (0, again["rows"])
    assert (refunded(store), refunded(store, "jpy")) == before


def test_a_row_that_is_corrected_in_a_report_is_refunded(
    refund: Refunding, store: PaymentStore, cloud: Cloud
) -> None:
    told = refund(f'{HEADER}usd,r1,60.00,\nusd,r2,60.00,"=late, too"\n')
    report = report_of(cloud, told["batch"], "not-paid-00000.csv").decode("utf-8-sig")
    assert '"\'=late, too"' in report
    refund(report.replace("usd,,60.00", "usd,r2,30.00"))
    assert refunded(store) == (9000, 1000)


def test_rows_are_checked_in_form_by_the_rules_of_the_api() -> None:
    content = (
        "PAYMENT_ID, Amount ,refund_id,note,reason\n"
        "usd,1.00,r1,a,\n"
        " usd , '1.00,r2,b,' =x \n"
        f"usd,0,r 3,c,{'x' * 65}\n"
        "usd,,r4,d,\n"
    ).encode()
    plan = plan_file([content], len(content), REFUNDS)
    [part] = plan.ranges
    rows = list(read_rows([content[part.start :]], plan.columns, part.first_line, REFUNDS))
    assert rows[:2] == [
        ValidRow(2, RefundContent("usd", "r1", "1.00", None)),
        ValidRow(3, RefundContent("usd", "r2", "1.00", "=x")),
    ]
    faults = [
        [(error.field, error.code) for error in row.errors]
        for row in rows
        if isinstance(row, RejectedRow)
    ]
    assert faults == [
        [
            ("refund_id", "invalid_format"),
            ("amount", "not_positive"),
            ("reason", "invalid_format"),
        ],
        # An amount that got lost never means all that is left.
        [("amount", "invalid_format")],
    ]


@pytest.mark.parametrize(
    ("key", "content"),
    [
        (KEY, "payment_id,amount,currency\nnew,1.00,USD\n"),
        ("march.csv", f"{HEADER}usd,r1,1.00,\n"),
        ("march/refunds/a.csv", f"{HEADER}usd,r1,1.00,\n"),
    ],
)
def test_a_file_in_the_wrong_place_is_refused_whole(
    batches: BatchProcessing, store: PaymentStore, cloud: Cloud, key: str, content: str
) -> None:
    batch = cloud.upload(content.encode(), key)
    process(batches, batch, len(content))
    told = summary_of(cloud, batch)
    assert (told["status"], told["reason"]["code"]) == ("REFUSED", "missing_column")
    assert cloud.messages() == []
    assert (store.get("new"), refunded(store)) == (None, (0, 10000))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("refunds/a.csv", BatchKind.REFUNDS),
        ("refunds/2026/a.csv", BatchKind.REFUNDS),
        ("Refunds/a.csv", BatchKind.PAYMENTS),
        ("/refunds/a.csv", BatchKind.PAYMENTS),
        ("RE%46UNDS/a.csv", BatchKind.PAYMENTS),
        ("Dry_Run/refunds/a.csv", BatchKind.REFUNDS),
        ("dry-run/march/refunds/a.csv", BatchKind.PAYMENTS),
        ("refunds-of-march/a.csv", BatchKind.PAYMENTS),
        ("refunds", BatchKind.PAYMENTS),
    ],
)
def test_the_first_folder_says_what_a_file_asks_for(key: str, kind: BatchKind) -> None:
    assert kind_of(key) is kind


def test_the_summary_of_a_batch_of_an_older_release_is_of_payments(
    batches: BatchProcessing, cloud: Cloud
) -> None:
    content = b"payment_id,amount,currency\np1,1.00,USD\n"
    batch = cloud.upload(content, "dry-run/a.csv")
    process(batches, batch, len(content))
    assert summary_of(cloud, batch)["kind"] == "payments"
    for item in cloud.items(TABLES.processing_status):
        if item.pop("kind", None) is not None:
            cloud.dynamodb.put_item(TableName=TABLES.processing_status, Item=item)
    assert summary_of(cloud, batch)["kind"] == "payments"
    assert json.loads(report_of(cloud, batch, "summary.json"))["kind"] == "payments"
