"""Batches and their reports are as the OpenAPI document says."""

import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from payments.aws.batches import BatchStore
from payments.aws.dry_runs import DryRunStore
from payments.aws.items import TIMELINE_RETENTION
from payments.aws.objects import ObjectStore
from payments.aws.queue import MessageQueue
from payments.batches.batch import (
    BATCH_ID,
    DRY_RUN_PREFIX,
    REFUNDS_PREFIX,
    Batch,
    BatchKind,
    ObjectVersion,
)
from payments.batches.progress import BatchStatus
from payments.batches.reports import REPORT_COLUMNS
from payments.batches.steps import BatchProcessing
from payments.core.messages import PaymentMessage, decode_message
from payments.core.money import EXPONENTS
from payments.core.payment import RowOutcome
from payments.flows.delivery import Delivery
from payments.runtime.payment_processor import Deliveries
from tests.contract.asking import (
    READ_BATCH,
    Seen,
    Send,
    read_batch,
    report_text,
    report_uris,
    submit,
)
from tests.contract.contract import Contract, load
from tests.unit.cloud import WITNESS, Cloud, process

LONGEST_LINE = 65536
SAMPLES = Path(__file__).parents[2] / "samples"


def test_members_statuses_and_ids_of_batches_are_those_of_the_code(contract: Contract) -> None:
    assert contract.resolve("#/components/schemas/BatchStatus")["enum"] == list(BatchStatus)
    assert contract.resolve("#/components/schemas/BatchId")["pattern"] == f"^{BATCH_ID.pattern}$"
    batch = contract.resolve("#/components/schemas/Batch")
    assert [*batch["required"], "reason"] == list(batch["properties"])
    assert set(RowOutcome) <= set(batch["required"])


def test_limits_and_reports_of_batches_are_told(contract: Contract) -> None:
    assert f"{TIMELINE_RETENTION.days} days" in contract.operations[READ_BATCH]["description"]
    assert f"`{DRY_RUN_PREFIX}`" in contract.document["info"]["description"]
    reports = contract.resolve("#/components/schemas/BatchReports")["properties"]
    rejected: str = reports["rejected"]["description"]
    assert all(f"`{column}`" in rejected for column in REPORT_COLUMNS)
    assert f"{LONGEST_LINE:,} characters" in rejected


def documented_batches() -> dict[str, Any]:
    content = load().responses(READ_BATCH)[200]["content"]["application/json"]
    return {name: each["value"] for name, each in content["examples"].items()}


@pytest.mark.parametrize("name", documented_batches())
def test_a_documented_batch_is_one_that_could_be(contract: Contract, name: str) -> None:
    batch = documented_batches()[name]
    version = {part: batch[part] for part in ("bucket", "key", "version_id")}
    assert Batch(ObjectVersion(**version)).batch_id == batch["batch_id"]
    described: str = contract.document["info"]["description"]
    (recipe,) = (line for line in described.splitlines() if line.startswith("echo "))
    told = subprocess.run(
        ["sh", "-c", recipe], env={**os.environ, **version}, capture_output=True, check=True
    )
    assert told.stdout.decode().strip() == batch["batch_id"]
    assert all(f"/{batch['batch_id']}/" in uri for uri in report_uris(batch))
    assert batch["rows"] == batch["accepted"] + batch["rejected"]
    assert batch["dry_run"] is batch["key"].startswith(DRY_RUN_PREFIX)


REFUSED_FILES = {
    "empty_file": b"\n",
    "not_utf8": "payment_id,amount,currency\n".encode("utf-16"),
    "no_header": b'payment_id,"amount,currency\n',
    "missing_column": b"payment_id,amount\n",
    "repeated_column": b"payment_id,amount,currency,amount\n",
    "unclosed_quote": b'payment_id,amount,currency\npay_1,1.00,"USD\n',
}


@contextmanager
def refused_by_s3(cloud: Cloud, code: str) -> Iterator[None]:
    """Let S3 refuse every read meanwhile."""

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}}, "GetObject")

    events = cloud.s3.meta.events
    events.register("before-call.s3.GetObject", refuse)
    try:
        yield
    finally:
        events.unregister("before-call.s3.GetObject", refuse)


def test_a_batch_is_as_documented_in_every_status_and_for_every_reason(
    contract: Contract, send: Send, seen: Seen, batches: BatchProcessing, cloud: Cloud
) -> None:
    rows = b"payment_id,amount,currency\npay_1,1.00,USD\npay 2,1.00,USD\n"
    reasons = {}
    for code, content in REFUSED_FILES.items():
        refused = cloud.upload(content)
        process(batches, refused, len(content))
        reasons[code] = refused, BatchStatus.REFUSED
    gone = cloud.upload(rows)
    cloud.s3.delete_object(Bucket="files", Key=gone.source.key, VersionId=gone.source.version_id)
    process(batches, gone, len(rows))
    reasons["file_gone"] = gone, BatchStatus.REFUSED
    sheet = cloud.upload(rows, "payments.xlsx")
    process(batches, sheet, len(rows))
    reasons["not_csv"] = sheet, BatchStatus.REFUSED
    for code, error in (("not_readable", "AccessDenied"), ("archived", "InvalidObjectState")):
        kept = cloud.upload(rows)
        with refused_by_s3(cloud, error):
            process(batches, kept, len(rows))
        reasons[code] = kept, BatchStatus.REFUSED
    broken = cloud.upload(rows)
    batches.plan(broken, len(rows))
    assert read_batch(send, broken.batch_id)[1]["rows"] == 0
    batches.fail(broken)
    reasons["processing_failed"] = broken, BatchStatus.FAILED
    for code, (batch, status) in reasons.items():
        body = read_batch(send, batch.batch_id)[1]
        assert (body["reason"]["code"], body["status"]) == (code, status)
        if status is BatchStatus.FAILED:
            assert body["reports"]["summary"] is None
        else:
            assert json.loads(report_text(cloud, body["reports"]["summary"])) == body
    assert set(reasons) == set(contract.reasons)

    for key, status in (
        ("größe + 100%.csv", BatchStatus.PROCESSING),
        (f"{DRY_RUN_PREFIX}a.csv", BatchStatus.COMPLETED),
    ):
        batch = cloud.upload(rows, key)
        process(batches, batch, len(rows))
        body = read_batch(send, batch.batch_id)[1]
        assert (body["key"], body["status"]) == (key, status)
    assert {body["status"] for _, _, body in seen} == set(BatchStatus)
    members = contract.resolve("#/components/schemas/Batch")["properties"]
    assert {member for _, _, body in seen for member in body} == set(members)


def test_sums_of_any_size_and_currency_are_as_documented(
    send: Send, batches: BatchProcessing, cloud: Cloud
) -> None:
    largest = {"JPY": 18, "USD": 16, "KWD": 15, "CLF": 14}
    rows = [
        f"{currency}_{number},{'9' * digits},{currency}\n"
        for currency, digits in largest.items()
        for number in range(20)
    ]
    rows += [
        f"{currency}_1,0.{'1'.rjust(EXPONENTS[currency], '0')},{currency}\n"
        for currency in ("EUR", "TND", "UYW")
    ]
    content = "".join(["payment_id,amount,currency\n", *rows]).encode()
    batch = cloud.upload(content)
    process(batches, batch, len(content))
    body = read_batch(send, batch.batch_id)[1]
    assert body["rejected"] == 0
    assert set(body["accepted_amounts"]) == {*largest, "EUR", "TND", "UYW"}
    assert body["accepted_amounts"]["KWD"] == f"1{'9' * 14}80.000"


def test_a_line_may_be_as_long_as_is_told(
    send: Send, batches: BatchProcessing, cloud: Cloud
) -> None:
    row = "pay_1,1.00,USD,".ljust(LONGEST_LINE, "x")
    content = f"payment_id,amount,currency,note\n{row}\n{row}x\n".encode()
    batch = cloud.upload(content)
    process(batches, batch, len(content))
    body = read_batch(send, batch.batch_id)[1]
    assert (body["accepted"], body["rejected"]) == (1, 1)
    (report,) = body["reports"]["rejected"]
    (rejected,) = csv.DictReader(io.StringIO(report_text(cloud, report)))
    assert rejected["[rejected line]"] == "3"
    assert rejected["[rejected code]"] == "line_too_long"


def test_the_sample_becomes_the_documented_batch_and_its_reports(
    contract: Contract,
    send: Send,
    cloud: Cloud,
    delivery: Delivery,
    objects: ObjectStore,
    rows: MessageQueue,
    batch_store: BatchStore,
    dry_runs: DryRunStore,
) -> None:
    submit(send, {"payment_id": "pay_105", "amount": 1000, "currency": "JPY"})
    expected = documented_batches()["completed"]
    content = (SAMPLES / expected["key"]).read_bytes()
    batch = cloud.upload(content, expected["key"])
    batches = BatchProcessing(objects, rows, batch_store, dry_runs, "results")
    process(batches, batch, len(content))
    for message in cloud.messages():
        read = decode_message(message["Body"])
        assert isinstance(read, PaymentMessage)
        delivery.deliver(read, WITNESS, is_first=True)
    assert batches.follow(batch, 2)["settled"] is True
    body = read_batch(send, batch.batch_id)[1]
    varying = ("bucket", "version_id", "batch_id", "created_at", "updated_at", "reports")
    assert {**body, **{name: expected[name] for name in varying}} == expected
    names = [[uri.rpartition("/")[2] for uri in report_uris(answer)] for answer in (body, expected)]
    assert names[0] == names[1]
    assert sum(body[outcome] for outcome in RowOutcome) == body["accepted"]

    assert json.loads(report_text(cloud, body["reports"]["summary"])) == body
    described = contract.resolve("#/components/schemas/BatchReports")["properties"]
    (rejected,), (not_paid,) = body["reports"]["rejected"], body["reports"]["not_paid"]
    faulty = list(csv.DictReader(io.StringIO(report_text(cloud, rejected))))
    assert len(faulty) == body["rejected"]
    assert all(set(row["[rejected code]"].split("; ")) <= set(contract.codes) for row in faulty)
    (row,) = csv.DictReader(io.StringIO(report_text(cloud, not_paid)))
    assert all(f"`{column}`" in described["not_paid"]["description"] for column in row)
    assert f"`{row['[not paid outcome]']}`" in described["not_paid"]["description"]


def test_a_file_of_refunds_is_answered_and_reported_as_documented(
    contract: Contract,
    send: Send,
    batches: BatchProcessing,
    deliveries: Deliveries,
    cloud: Cloud,
) -> None:
    submit(send, {"payment_id": "pay_1", "amount": "10.00", "currency": "USD"})
    for message in cloud.messages():
        deliveries.deliver(decode_message(message["Body"]), WITNESS, is_first=True)
    rows = b"payment_id,refund_id,amount,reason\npay_1,r1,6.00,a\npay_1,r2,6.00,b\npay_2,r1,1,\n"
    batch = cloud.upload(rows, f"{REFUNDS_PREFIX}a.csv")
    process(batches, batch, len(rows))
    for message in cloud.messages():
        deliveries.deliver(decode_message(message["Body"]), WITNESS, is_first=True)
    assert batches.follow(batch, 2)["settled"] is True
    body = read_batch(send, batch.batch_id)[1]
    assert (body["kind"], body["completed"], body["refused"]) == ("refunds", 1, 2)
    assert body["accepted_amounts"] == {"USD": "6.00"}
    described = contract.resolve("#/components/schemas/BatchReports")["properties"]["not_paid"]
    (report,) = body["reports"]["not_paid"]
    told = list(csv.DictReader(io.StringIO(report_text(cloud, report))))
    ours = {column for column in told[0] if column.startswith("[")}
    assert all(f"`{column}`" in described["description"] for column in ours)
    codes = {row["[not paid code]"] for row in told}
    assert codes == {"exceeds_refundable", "payment_not_found"}
    assert codes - set(contract.codes) == {"payment_not_found"}
    assert f"`{REFUNDS_PREFIX}`" in contract.document["info"]["description"]
    assert contract.resolve("#/components/schemas/Batch")["properties"]["kind"]["enum"] == list(
        BatchKind
    )
