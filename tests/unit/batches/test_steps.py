"""The steps of a batch: each row queued once, counted once and reported once."""

import csv
import io
import json
from typing import Any

import pytest

from payments.aws.batches import BatchStore
from payments.aws.dry_runs import DryRunStore
from payments.aws.objects import ObjectStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import MessageQueue
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.header import HEADER_BYTES
from payments.batches.layout import PAYMENTS
from payments.batches.progress import BatchStatus, RangeResult
from payments.batches.records import (
    RejectedRow,
)
from payments.batches.reports import RejectedRows
from payments.batches.steps import BatchProcessing, Portions
from payments.core.faults import FieldError, UnreadableFile
from payments.core.messages import PaymentMessage
from payments.core.payment import PaymentRequest, RowOutcome
from payments.flows.delivery import Delivery
from tests.unit.cloud import (
    TABLES,
    WITNESS,
    Cloud,
    payment_message,
    payment_request,
    planned,
    process,
)

DOCUMENTED = (
    b"payment_id,amount,currency\npay_001,100.00,USD\npay_002,50.00,EUR\npay_003,75.50,USD\n"
)


class TestBatch:
    """A batch from its object to queue and report."""

    def reports(self, cloud: Cloud, batch: Batch) -> dict[str, str]:
        listed = cloud.s3.list_objects_v2(Bucket="results", Prefix=batch.batch_id)
        keys = [entry["Key"] for entry in listed.get("Contents", [])]
        return {
            key.rpartition("/")[2]: cloud.s3.get_object(Bucket="results", Key=key)["Body"]
            .read()
            .decode("utf-8-sig")
            for key in keys
        }

    def summary(self, cloud: Cloud, batch: Batch) -> dict[str, Any]:
        progress = BatchStore(cloud.dynamodb, TABLES.processing_status).progress(batch.batch_id)
        assert progress is not None
        return progress.describe()

    def test_a_summary_is_written_at_the_end_and_never_before(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        running = cloud.upload(DOCUMENTED)
        process(batches, running, 0)
        assert self.summary(cloud, running)["reports"]["summary"] is None
        assert self.reports(cloud, running) == {}
        ended = cloud.upload(DOCUMENTED, "dry-run/payments.csv")
        process(batches, ended, 0)
        told = self.summary(cloud, ended)
        assert told["reports"]["summary"] == f"s3://results/{ended.batch_id}/summary.json"
        assert json.loads(self.reports(cloud, ended)["summary.json"]) == told

    def test_an_unreadable_file_is_refused_also_after_a_failure(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(b"")
        batches.fail(batch)
        process(batches, batch, 0)
        assert self.summary(cloud, batch)["status"] == "REFUSED"

    def queued(self, cloud: Cloud) -> list[PaymentRequest]:
        messages = (payment_message(message["Body"]).request for message in cloud.messages())
        return sorted(messages, key=lambda message: message.payment_id)

    def test_every_valid_row_is_queued_as_its_own_payment(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(DOCUMENTED)
        process(batches, batch, len(DOCUMENTED))
        queued = self.queued(cloud)
        assert [(row.payment_id, row.amount_minor, row.currency) for row in queued] == [
            ("pay_001", 10000, "USD"),
            ("pay_002", 5000, "EUR"),
            ("pay_003", 7550, "USD"),
        ]
        assert queued[0].source == f"batch:{batch.batch_id}:2"

    def test_the_summary_counts_rows_and_sums_by_currency(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(DOCUMENTED + b"pay_4,-1,USD\n")
        process(batches, batch, 0)
        summary = self.summary(cloud, batch)
        assert (summary["rows"], summary["accepted"], summary["rejected"]) == (4, 3, 1)
        assert summary["accepted_amounts"] == {"EUR": "50.00", "USD": "175.50"}
        assert summary["status"] == "PROCESSING"

    def test_a_batch_is_complete_when_every_row_has_its_outcome(
        self, batches: BatchProcessing, store: PaymentStore, delivery: Delivery, cloud: Cloud
    ) -> None:
        store.create(payment_request("pay_002", 1), actor="api", at="2026-01-01")
        batch = cloud.upload(DOCUMENTED + b"pay_003,75.50,USD\n")
        followed = process(batches, batch, 0)
        assert (followed["settled"], followed["wait_seconds"]) == (False, 2)
        assert batches.follow(batch, 400)["wait_seconds"] == 501
        assert batches.follow(batch, 501)["wait_seconds"] == 600
        requests = self.queued(cloud)
        for request in requests[:-1]:
            delivery.deliver(PaymentMessage(request), WITNESS, is_first=True)
        assert batches.follow(batch, 2)["settled"] is False
        delivery.deliver(PaymentMessage(requests[-1]), WITNESS, is_first=True)
        followed = batches.follow(batch, 2)
        assert followed["settled"] is True
        assert followed["notification"]["event_type"] == "batch.completed"
        assert followed["notification"]["event_id"] == f"{batch.batch_id}:COMPLETED"
        summary = self.summary(cloud, batch)
        outcomes = [summary[name] for name in ("completed", "failed", "duplicate", "conflict")]
        assert outcomes == [2, 0, 1, 1]
        not_paid = f"s3://results/{batch.batch_id}/not-paid-00000.csv"
        assert summary["reports"]["not_paid"] == [not_paid]
        assert batches.follow(batch, 2) == followed
        rows = csv.DictReader(io.StringIO(self.reports(cloud, batch)["not-paid-00000.csv"]))
        assert {row["[not paid id]"]: row["[not paid outcome]"] for row in rows} == {
            "pay_002": "conflict",
            "pay_003": "duplicate",
        }

    def test_a_step_that_is_repeated_changes_nothing(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(DOCUMENTED + b"pay_4,-1,USD\n")
        first = process(batches, batch, 0), self.summary(cloud, batch)
        again = process(batches, batch, 0), self.summary(cloud, batch)
        assert again == first
        sources = {row.source for row in self.queued(cloud)}
        assert len(sources) == 3

    def test_rejected_rows_come_back_as_csv_that_can_be_mended_and_sent_again(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        content = b'note,payment_id,amount,currency\n"a, b",pay_4,-1,usd\n'
        batch = cloud.upload(content)
        process(batches, batch, 0)
        report = self.reports(cloud, batch)["rejected-00000.csv"]
        [row] = csv.DictReader(io.StringIO(report))
        assert row == {
            "note": "a, b",
            "payment_id": "pay_4",
            "amount": "'-1",
            "currency": "usd",
            "[rejected line]": "2",
            "[rejected field]": "amount; currency",
            "[rejected code]": "not_positive; unknown_currency",
            "[rejected message]": row["[rejected message]"],
            "[rejected record]": "",
        }
        half_mended = cloud.upload(report.replace("-1", "1").encode())
        process(batches, half_mended, 0)
        second = self.reports(cloud, half_mended)["rejected-00000.csv"]
        assert second.splitlines()[0] == report.splitlines()[0]
        mended = cloud.upload(second.replace("usd", "USD").encode())
        process(batches, mended, 0)
        assert self.summary(cloud, mended)["accepted"] == 1

    def test_parts_of_a_report_come_in_the_order_of_the_file(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        rows = b"".join(b"pay %d,1,USD\n" % number for number in range(100))
        batch = cloud.upload(b"payment_id,amount,currency\n" + rows)
        process(batches, batch, 0)
        reports = self.reports(cloud, batch)
        listed = self.summary(cloud, batch)["reports"]["rejected"]
        assert len(listed) > 10
        lines = [
            int(row["[rejected line]"])
            for uri in listed
            for row in csv.DictReader(io.StringIO(reports[uri.rpartition("/")[2]]))
        ]
        assert lines == list(range(2, 102))

    def test_a_report_of_many_rows_is_written_in_parts(self) -> None:
        written: dict[int, bytes] = {}
        rejected = RejectedRows(["payment_id"], PAYMENTS, written.__setitem__, part_bytes=2000)
        fault = FieldError("payment_id", "invalid_format", "is wrong")
        for line in range(2, 3002):
            rejected.add(RejectedRow(line, ("€",), (fault,)))
            assert len(written) == rejected.parts
        rejected.finish_part()
        rejected.finish_part()
        assert (rejected.count, rejected.parts) == (3000, len(written))
        assert len(written) > 10
        # Text is written on in chunks of 8 KiB, so that is how far a part may go beyond.
        assert max(map(len, written.values())) < 2000 + 9000
        lines = [
            int(row["[rejected line]"])
            for number in range(rejected.parts)
            for row in csv.DictReader(io.StringIO(written[number].decode("utf-8-sig")))
        ]
        assert lines == list(range(2, 3002))

    def test_every_part_of_a_report_is_listed_in_order(self, batch_store: BatchStore) -> None:
        batch_id = f"batch_{'0' * 32}"
        head = {"batch_id": batch_id, "bucket": "b", "key": "k", "version_id": "v"}
        details = {**head, "dry_run": False, "reports": "s3://results/x"}
        batch_store.record(
            batch_id, BatchStatus.PROCESSING, "2026-01-01T00:00:00Z", details=details
        )
        for number, reports in ((0, 2), (1, 0), (2, 1)):
            result = RangeResult(
                number=number,
                accepted=0,
                rejected=1,
                accepted_minor={},
                exponents={},
                reports=reports,
            )
            batch_store.record_range(batch_id, result, "2026-01-01T00:00:00Z")
        progress = batch_store.progress(batch_id)
        assert progress is not None
        assert progress.describe()["reports"]["rejected"] == [
            "s3://results/x/rejected-00000.csv",
            "s3://results/x/rejected-00000-00001.csv",
            "s3://results/x/rejected-00002.csv",
        ]

    def test_a_record_that_does_not_fit_is_told_raw_in_one_cell(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(b"payment_id,amount,currency\npay_1,1,000.00,USD\n")
        process(batches, batch, 0)
        [row] = csv.DictReader(io.StringIO(self.reports(cloud, batch)["rejected-00000.csv"]))
        assert (row["payment_id"], row["amount"], row["currency"]) == ("", "", "")
        assert row["[rejected record]"] == "pay_1,1,000.00,USD"
        assert row["[rejected code]"] == "column_count"

    def test_millions_of_rows_that_were_not_paid_are_reported_in_several_calls(
        self,
        objects: ObjectStore,
        rows: MessageQueue,
        store: PaymentStore,
        dry_runs: DryRunStore,
        cloud: Cloud,
    ) -> None:
        batch_store = BatchStore(cloud.dynamodb, TABLES.processing_status)
        batches = BatchProcessing(
            objects, rows, batch_store, dry_runs, "results", portions=Portions(reported_rows=5)
        )
        lines = b"".join(b"pay_%d,1,USD\n" % number for number in range(40))
        batch = cloud.upload(b"payment_id,amount,currency\n" + lines)
        plan = batches.plan(batch, 0)
        for part in plan["ranges"]:
            batches.process_range(batch, plan["columns"], part)
        for message in self.queued(cloud):
            store.record_not_paid(message, RowOutcome.DUPLICATE, at="2026-01-01T00:00:00Z")
        answers = [batches.follow(batch, 0)]
        while not answers[-1]["settled"]:
            assert answers[-1]["wait_seconds"] == 0
            assert self.summary(cloud, batch)["status"] == "PROCESSING"
            answers.append(batches.follow(batch, 0, answers[-1]["reported"]))
        assert len(answers) == 8
        reports = self.reports(cloud, batch)
        links = self.summary(cloud, batch)["reports"]["not_paid"]
        told = [
            row["[not paid id]"]
            for link in links
            for row in csv.DictReader(io.StringIO(reports[link.rpartition("/")[2]]))
        ]
        assert sorted(told) == sorted(f"pay_{number}" for number in range(40))

    def test_news_of_a_batch_name_its_summary_and_no_other_report(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        rows = b"".join(b"pay %d,1,USD\n" % number for number in range(100))
        batch = cloud.upload(b"payment_id,amount,currency\n" + rows)
        news = process(batches, batch, 0)["notification"]["batch"]
        summary = self.summary(cloud, batch)
        assert len(summary["reports"]["rejected"]) > 10
        assert news == {**summary, "reports": {"summary": summary["reports"]["summary"]}}

    def test_a_refused_file_has_a_report_that_says_so(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(b"")
        followed = process(batches, batch, 0)
        assert followed["notification"]["event_type"] == "batch.refused"
        summary = self.summary(cloud, batch)
        assert summary["status"] == "REFUSED"
        assert summary["reason"]["code"] == "empty_file"
        assert cloud.messages() == []

    def test_a_header_alone_is_complete_at_once(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(b"payment_id,amount,currency\n")
        assert process(batches, batch, 0)["settled"] is True
        assert self.summary(cloud, batch)["status"] == "COMPLETED"

    def test_a_dry_run_reports_the_same_and_queues_nothing(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        content = DOCUMENTED + b"pay_4,-1,USD\n"
        real, dry = cloud.upload(content), cloud.upload(content, "dry-run/a.csv")
        assert process(batches, dry, 0)["settled"] is True
        assert cloud.messages() == []
        process(batches, real, 0)
        real_reports, dry_reports = self.reports(cloud, real), self.reports(cloud, dry)
        dry_reports.pop("summary.json")
        assert dry_reports == real_reports != {}
        summary = self.summary(cloud, dry)
        assert (summary["dry_run"], summary["accepted"], summary["status"]) == (
            True,
            3,
            "COMPLETED",
        )

    def test_a_dry_run_tells_what_the_real_run_would_not_pay_at_that_moment(
        self, batches: BatchProcessing, store: PaymentStore, delivery: Delivery, cloud: Cloud
    ) -> None:
        store.create(payment_request("pay_paid", 100), actor="api", at="2026-01-01")
        store.create(payment_request("pay_other", 100), actor="api", at="2026-01-01")
        content = (
            b"payment_id,amount,currency\n"
            b"pay_paid,1.00,USD\n"
            b"pay_other,2.00,USD\n"
            b"pay_twice,1,USD\n"
            b"pay_new,1,USD\n"
            b"pay_thrice,1.00,USD\n"
            b"pay_twice,5,USD\n"
            b"pay_thrice,1.0,USD\n"
            b"pay_other,1.00,USD\n"
            b"pay_thrice,1.00,EUR\n"
            b"bad id,1.00,EUR\n"
        )
        dry = cloud.upload(content, "dry-run/a.csv")
        assert len(planned(batches, dry, len(content))["ranges"]) > 2
        assert process(batches, dry, len(content))["settled"] is True
        assert cloud.messages() == []
        real = cloud.upload(content)
        process(batches, real, len(content))
        for request in sorted(
            self.queued(cloud), key=lambda row: int(row.source.rpartition(":")[2])
        ):
            delivery.deliver(PaymentMessage(request), WITNESS, is_first=True)
        assert batches.follow(real, 2)["settled"] is True
        counts = {
            batch: [
                self.summary(cloud, batch)[name] for name in ("rejected", "duplicate", "conflict")
            ]
            for batch in (dry, real)
        }
        assert counts[dry] == counts[real] == [1, 3, 3]
        dry_reports, real_reports = self.reports(cloud, dry), self.reports(cloud, real)
        dry_reports.pop("summary.json")
        real_reports.pop("summary.json")
        assert dry_reports == real_reports
        assert {name.partition("-0")[0] for name in dry_reports} == {"rejected", "not-paid"}

    def test_a_dry_run_that_is_repeated_tells_the_same(
        self, batches: BatchProcessing, store: PaymentStore, cloud: Cloud
    ) -> None:
        content = b"payment_id,amount,currency\n" + b"a,1,USD\nb,1,USD\na,2,USD\nb,1,USD\n" * 20
        batch = cloud.upload(content, "dry-run/a.csv")
        plan = planned(batches, batch, len(content))
        *ranges, last = plan["ranges"]
        for part in (last, *ranges, last):
            batches.process_range(batch, plan["columns"], part)
            # What is paid meanwhile does not change what the dry run has begun to tell.
            store.create(payment_request("b", 500), actor="api", at="2026-01-01")
        batches.follow(batch, 0)
        first = self.summary(cloud, batch)
        assert (first["accepted"], first["duplicate"] + first["conflict"]) == (80, 78)
        assert first["completed"] == first["failed"] == 0
        process(batches, batch, len(content))
        assert self.summary(cloud, batch) == first

    def test_no_report_of_a_dry_run_pays_anything_when_it_comes_back(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        content = b"payment_id,amount,currency\na,1,USD\na,2,USD\nb c,1,USD\nd,1,USD,x\n"
        batch = cloud.upload(content, "dry-run/a.csv")
        process(batches, batch, len(content))
        reports = self.reports(cloud, batch)
        assert {name.partition("-")[0] for name in reports} == {"rejected", "not", "summary.json"}
        for name, report in reports.items():
            for key in (name, f"{name}.csv"):
                process(batches, cloud.upload(report.encode("utf-8-sig"), key), 0)
        assert cloud.messages() == []

    def test_a_file_that_is_gone_is_refused(self, batches: BatchProcessing, cloud: Cloud) -> None:
        batch = cloud.upload(DOCUMENTED)
        cloud.s3.delete_object(
            Bucket="files", Key="payments.csv", VersionId=batch.source.version_id
        )
        process(batches, batch, 0)
        assert self.summary(cloud, batch)["reason"]["code"] == "file_gone"

    def test_a_file_that_is_gone_when_its_batch_is_tried_again_stays_failed(
        self, batches: BatchProcessing, cloud: Cloud, batch_store: BatchStore
    ) -> None:
        """Rows of it are queued and paid, so it is not refused whole."""
        batch = cloud.upload(DOCUMENTED)
        batches.plan(batch, 0)
        batches.fail(batch)
        cloud.s3.delete_object(
            Bucket="files", Key="payments.csv", VersionId=batch.source.version_id
        )
        with pytest.raises(UnreadableFile):
            batches.plan(batch, 0)
        progress = batch_store.progress(batch.batch_id)
        assert progress is not None
        assert progress.status is BatchStatus.FAILED

    def test_a_batch_that_fails_says_so(self, batches: BatchProcessing, cloud: Cloud) -> None:
        batch = cloud.upload(DOCUMENTED)
        batches.plan(batch, 0)
        notification = batches.fail(batch)["notification"]
        assert notification["event_type"] == "batch.failed"
        assert self.summary(cloud, batch)["reason"]["code"] == "processing_failed"

    def test_a_batch_that_could_not_even_be_planned_says_so(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(DOCUMENTED)
        assert batches.fail(batch)["notification"]["event_type"] == "batch.failed"
        summary = self.summary(cloud, batch)
        assert (summary["status"], summary["key"]) == ("FAILED", "payments.csv")

    def test_a_batch_that_has_ended_does_not_fail_afterwards(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(b"")
        ended = process(batches, batch, 0)["notification"]
        assert batches.fail(batch) == {"notification": ended}

    def test_a_batch_that_failed_completes_when_it_is_tried_again(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(DOCUMENTED, "dry-run/payments.csv")
        batches.plan(batch, 0)
        batches.fail(batch)
        assert process(batches, batch, 0)["notification"]["event_type"] == "batch.completed"
        assert self.summary(cloud, batch)["status"] == "COMPLETED"

    def test_the_plan_of_a_huge_file_fits_the_state_of_a_workflow(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(1000))
        batch = cloud.upload(b"payment_id,amount,currency\n" + rows)
        # As if it were a thousand times as large, with ranges of 50 bytes.
        plan = planned(batches, batch, 1000 * len(rows))
        assert 1 < len(plan["ranges"]) <= 2
        assert len(planned(batches, batch, len(rows))["ranges"]) > 100

    @pytest.mark.parametrize("name", ["", "a", '""""', "é", "漢"])
    def test_the_longest_plan_fits_the_state_of_a_workflow(
        self, batches: BatchProcessing, cloud: Cloud, name: str
    ) -> None:
        """https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html says 256 KiB."""
        header = b"payment_id,amount,currency"
        header += f",{name}".encode() * (
            (HEADER_BYTES - len(header) - 1) // len(f",{name}".encode())
        )
        batch = cloud.upload(header + b"\n" + b"p,1,USD\n" * 4000, f"{'k' * 1020}.csv")
        plan = planned(batches, batch, 0)
        assert len(plan["columns"]) > HEADER_BYTES // 6
        # As many ranges as a file may have, of one of the largest that S3 holds.
        largest = {"start": 50 * 2**40, "end": 50 * 2**40, "line": 50 * 2**40}
        ranges = [{"number": number, **largest} for number in range(2001)]
        state = {
            "batch": batch.to_dict(),
            "size": 50 * 2**40,
            "plan": {"answer": plan | {"ranges": ranges}},
        }
        assert len(json.dumps(state).encode()) < 256 * 1024

    def test_a_name_that_ends_in_csv_in_any_case_is_read(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = cloud.upload(DOCUMENTED, "PAYMENTS.CSV")
        process(batches, batch, 0)
        assert len(cloud.messages()) == 3

    @pytest.mark.parametrize("key", ["payments.xlsx", "payments.csv.gz", "payments", "march/"])
    def test_any_other_object_is_refused_with_what_to_do(
        self, batches: BatchProcessing, cloud: Cloud, key: str
    ) -> None:
        batch = cloud.upload(DOCUMENTED, key)
        followed = process(batches, batch, 0)
        assert followed["notification"]["event_type"] == "batch.refused"
        reason = self.summary(cloud, batch)["reason"]
        assert (reason["code"], cloud.messages()) == ("not_csv", [])
        assert "save it as CSV UTF-8" in reason["message"]

    def test_a_huge_file_is_planned_in_several_calls_as_in_one(
        self, batches: BatchProcessing, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.aws.objects._BLOCK_BYTES", 64)
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(1400))
        batch = cloud.upload(b"payment_id,amount,currency\n" + rows)
        plan, calls = batches.plan(batch, 0), 1
        while not plan["planned"]:
            assert plan["unread"] is not None
            assert plan["unread"]["start"] == plan["ranges"][-1]["end"]
            plan, calls = batches.plan(batch, 0, plan), calls + 1
        assert calls > 3
        ranges = plan["ranges"]
        assert [part["number"] for part in ranges] == list(range(len(ranges)))
        assert [part["start"] for part in ranges[1:]] == [part["end"] for part in ranges[:-1]]
        assert ranges[-1]["end"] == 27 + len(rows)

    def test_a_huge_file_that_is_refused_late_has_no_ranges(
        self, batches: BatchProcessing, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.aws.objects._BLOCK_BYTES", 64)
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(1400))
        batch = cloud.upload(b"payment_id,amount,currency\n" + rows + b"\xff")
        assert batches.plan(batch, 0)["planned"] is False
        assert planned(batches, batch, 0)["ranges"] == []
        assert self.summary(cloud, batch)["status"] == "REFUSED"

    def test_a_batch_id_follows_from_the_object_version(self) -> None:
        first = Batch(ObjectVersion("files", "a.csv", "1"))
        assert first.batch_id == Batch.from_dict(first.to_dict()).batch_id
        assert first.batch_id != Batch(ObjectVersion("files", "a.csv", "2")).batch_id
