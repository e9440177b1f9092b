"""Batches: every row of a file gets its answer, whatever its neighbours are."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processor import run_step, start
from payments.batch import Batch, BatchProcessing, encode_row
from payments.batch_report import RejectedRows
from payments.batch_store import BatchStatus, BatchStore, RangeResult
from payments.csv_rows import (
    MAX_LINE_CHARACTERS,
    RejectedRow,
    ValidRow,
    _read_row,
    plan_file,
    read_rows,
)
from payments.errors import FieldError, InvalidMessage, ServiceUnavailable, UnreadableFile
from payments.events import PaymentQueue, decode_message, encode_message
from payments.gateway import SandboxGateway
from payments.models import PaymentRequest, RowOutcome
from payments.objects import ObjectStore, ObjectVersion, unversioned
from payments.service import PaymentDispatch, PaymentProcessing, StepContext
from payments.store import PaymentStore, SandboxLedger
from tests.unit.aws_events import load
from tests.unit.cloud import TABLES, Cloud, Started, payment_request, planned, process

DOCUMENTED = (
    b"payment_id,amount,currency\npay_001,100.00,USD\npay_002,50.00,EUR\npay_003,75.50,USD\n"
)


def rows_of(
    content: bytes, *, range_bytes: int = 10**9, block_bytes: int = 10**9
) -> list[ValidRow | RejectedRow]:
    """Plan a file and read its rows range by range, in blocks of a given size."""

    def blocks(start: int, end: int) -> list[bytes]:
        return [content[at : min(at + block_bytes, end)] for at in range(start, end, block_bytes)]

    plan = plan_file(blocks(0, len(content)), range_bytes)
    return [
        row
        for part in plan.ranges
        for row in read_rows(blocks(part.start, part.end), plan.columns, part.first_line)
    ]


def rows_planned_in_portions(content: bytes, *, most_bytes: int) -> list[ValidRow | RejectedRow]:
    """Plan a file in several calls, each of which goes on where the last one ended."""
    plan = plan_file([content[at : at + 5] for at in range(0, len(content), 5)], 7, most_bytes=1)
    ranges = list(plan.ranges)
    while plan.unread:
        rest = content[plan.unread.start :]
        plan = plan_file(
            [rest[at : at + 5] for at in range(0, len(rest), 5)],
            7,
            most_bytes=most_bytes,
            columns=plan.columns,
            place=plan.unread,
        )
        ranges.extend(plan.ranges)
    return [
        row
        for part in ranges
        for row in read_rows([content[part.start : part.end]], plan.columns, part.first_line)
    ]


def codes(rows: list[ValidRow | RejectedRow]) -> dict[int, list[str]]:
    return {
        row.line: [error.code for error in row.errors]
        for row in rows
        if isinstance(row, RejectedRow)
    }


class TestRows:
    """Reading rows out of bytes."""

    def test_the_documented_file_has_three_payments(self) -> None:
        assert rows_of(DOCUMENTED) == [
            ValidRow(2, "pay_001", 10000, "USD"),
            ValidRow(3, "pay_002", 5000, "EUR"),
            ValidRow(4, "pay_003", 7550, "USD"),
        ]

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbfpayment_id,amount,currency\r\npay_1,1.00,USD\r\n",
            b"currency,note,payment_id,amount\nUSD,hello,pay_1,1.00\n",
            b'"payment_id","amount","currency"\n"pay_1","1.00","USD"',
            b"\n\npayment_id,amount,currency\n\n\npay_1,1.00,USD\n   \n",
            b' payment_id , amount,currency,note\npay_1,1,USD,"a, b ""c"""\n',
        ],
        ids=["BOM and CRLF", "order and extra column", "quotes", "blank lines", "quoted comma"],
    )
    def test_a_file_may_be_written_in_many_ways(self, content: bytes) -> None:
        [row] = rows_of(content)
        assert isinstance(row, ValidRow)
        assert (row.payment_id, row.amount_minor, row.currency) == ("pay_1", 100, "USD")

    def test_a_file_may_have_hundreds_of_columns(self) -> None:
        names = [f"column {number}" for number in range(200)]
        header = ",".join([*names, "currency", "amount", "payment_id"])
        row = ",".join([*("x" for _ in names), "USD", "1.00", "pay_1"])
        assert rows_of(f"{header}\n{row}\n".encode()) == [ValidRow(2, "pay_1", 100, "USD")]

    def test_a_bad_row_does_not_stop_its_neighbours(self) -> None:
        content = (
            b"payment_id,amount,currency\n"
            b"pay_1,1.00,USD\n"
            b"pay 2,-1,usd\n"
            b"pay_3,1,000.00,USD\n"
            b'pay_4,"1.00,USD\n'
            b"pay_5\n"
            b"pay_6,1.005,USD\n"
            b"pay_\x007,1,USD\n"
            b"pay_8,1,USD\n"
        )
        rows = rows_of(content)
        assert [row.line for row in rows if isinstance(row, ValidRow)] == [2, 9]
        assert codes(rows) == {
            3: ["invalid_format", "not_positive", "unknown_currency"],
            4: ["column_count"],
            5: ["unbalanced_quotes"],
            6: ["column_count"],
            7: ["too_many_decimals"],
            8: ["invalid_format"],
        }

    @given(
        st.lists(
            st.lists(
                st.sampled_from(
                    (
                        *("pay_1", "pay 1", "a" * 65, "", "USD", "JPY", "KWD", "usd", "XXX"),
                        *("0", "1", "1.5", "01", "1.50", "1.500", "1.505", "0.00", "1.", ".5"),
                        *("9" * 18, "9" * 19, "9" * 16 + ".99", "9" * 17 + ".99", "-1", "1e3"),
                        *("\u0661", '"', '"1.00"', "\r", " ", "\x00", "x" * MAX_LINE_CHARACTERS),
                    )
                ),
                max_size=4,
            ),
            max_size=4,
        ),
        st.permutations(["payment_id", "amount", "currency", "note"]),
        st.sampled_from(["\n", "\r\n"]),
    )
    def test_a_plain_line_is_read_as_the_long_way_reads_it(
        self, lines: list[list[str]], columns: list[str], line_end: str
    ) -> None:
        texts = [",".join(cells) for cells in lines]
        content = "".join(f"{text}{line_end}" for text in texts).encode()
        one_by_one = (
            _read_row(number, f"{text}{line_end}"[:-1].removesuffix("\r"), tuple(columns))
            for number, text in enumerate(texts, 2)
        )
        assert list(read_rows([content], tuple(columns), 2)) == [row for row in one_by_one if row]

    def test_a_line_too_long_is_rejected_alone(self) -> None:
        content = DOCUMENTED + b"x" * (10 * MAX_LINE_CHARACTERS) + b"\npay_9,1,USD\n"
        rows = rows_of(content, block_bytes=1024)
        assert codes(rows) == {5: ["line_too_long"]}
        assert rows[-1] == ValidRow(6, "pay_9", 100, "USD")

    def test_a_file_gives_the_same_rows_wherever_it_is_cut(self) -> None:
        content = (
            "\ufeffcurrency,payment_id,amount,note\r\n"
            "USD,pay_1,1.00,größe\r\n\r\n"
            'EUR,pay_2,2.00,"a, b"\r\n'
            "usd,pay_3,-1,€\r\n"
            "JPY,pay_4,400,last"
        ).encode()
        whole = rows_of(content)
        assert len(whole) == 4
        for size in range(1, len(content) + 2):
            assert rows_of(content, range_bytes=size) == whole
            assert rows_of(content, block_bytes=size) == whole
            assert rows_of(content, range_bytes=size, block_bytes=7) == whole
            assert rows_planned_in_portions(content, most_bytes=size) == whole

    def test_what_is_not_utf_8_is_refused_in_whichever_portion_it_is(self) -> None:
        with pytest.raises(UnreadableFile):
            rows_planned_in_portions(DOCUMENTED + b"pay_4,1,US\xff\npay_5,1,USD\n", most_bytes=10)

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "empty_file"),
            (b"\n\r\n  \n", "empty_file"),
            (b"payment_id,amount\npay_1,1\n", "missing_column"),
            (b"pay_001,100.00,USD\n", "missing_column"),
            (b"payment_id,amount,currency,amount\n", "repeated_column"),
            (b'payment_id,"amount,currency\n', "no_header"),
            (b"x" * (2 * MAX_LINE_CHARACTERS), "no_header"),
            (DOCUMENTED.replace(b"\n", b"\r"), "no_header"),
            (DOCUMENTED.replace(b",", b";"), "missing_column"),
            ("payment_id,amount,currency\npay_1,1,USD\n".encode("utf-16"), "not_utf8"),
            (DOCUMENTED + b"pay_4,1,USD,\xe9\n", "not_utf8"),
            (DOCUMENTED + b"\xc3", "not_utf8"),
            (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "not_utf8"),
            (b"PK\x03\x04" + bytes(range(256)), "not_utf8"),
        ],
    )
    def test_a_file_that_is_no_csv_of_payments_is_refused_whole(
        self, content: bytes, code: str
    ) -> None:
        for block_bytes in (1, 3, 10**6):
            with pytest.raises(UnreadableFile) as refused:
                rows_of(content, block_bytes=block_bytes)
            assert refused.value.code == code

    @pytest.mark.parametrize(
        ("content", "hint"),
        [
            (DOCUMENTED.replace(b"\n", b"\r"), "end with CR alone"),
            (DOCUMENTED.replace(b"\n", b"\r") * 2000, "end with CR alone"),
            (DOCUMENTED.replace(b",", b";"), "by commas, not by semicolons"),
            (DOCUMENTED.replace(b",", b"\t"), "by commas, not by tabs"),
        ],
    )
    def test_a_refusal_says_what_a_spreadsheet_did_to_the_file(
        self, content: bytes, hint: str
    ) -> None:
        with pytest.raises(UnreadableFile, match=hint):
            rows_of(content)

    def test_a_line_break_within_quotes_ends_the_row_and_harms_no_neighbour(self) -> None:
        rows = rows_of(
            b"payment_id,amount,currency,note\n"
            b"pay_1,1,USD,before\n"
            b'pay_2,1,USD,"two\n'
            b'lines"\n'
            b"pay_3,1,USD,after\n"
        )
        assert [row.line for row in rows if isinstance(row, ValidRow)] == [2, 5]
        assert codes(rows) == {3: ["unbalanced_quotes"], 4: ["column_count"]}
        message = rows[1].errors[0].message if isinstance(rows[1], RejectedRow) else ""
        assert "no line break in a cell" in message

    @given(
        st.lists(
            st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=3)
        )
    )
    def test_cells_are_those_that_the_csv_module_reads(self, table: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [["payment_id", "amount", "currency"], *table]
        )
        read = [
            row
            for row in csv.reader(io.StringIO(text.getvalue(), newline="\n"))
            if row and not ",".join(row).isspace()
        ]
        rejected = [
            row for row in rows_of(text.getvalue().encode()) if isinstance(row, RejectedRow)
        ]
        assert [list(row.cells) for row in rejected] == read[1:]

    def test_a_header_alone_is_a_file_without_rows(self) -> None:
        assert rows_of(b"payment_id,amount,currency") == []


class TestBatch:
    """A batch from its object to queue and report."""

    def upload(self, cloud: Cloud, content: bytes, key: str = "payments.csv") -> Batch:
        answer = cloud.s3.put_object(Bucket="files", Key=key, Body=content)
        return Batch(ObjectVersion("files", key, answer["VersionId"]))

    def reports(self, cloud: Cloud, batch: Batch) -> dict[str, str]:
        listed = cloud.s3.list_objects_v2(Bucket="results", Prefix=batch.batch_id)
        keys = [entry["Key"] for entry in listed.get("Contents", [])]
        return {
            key.rpartition("/")[2]: cloud.s3.get_object(Bucket="results", Key=key)["Body"]
            .read()
            .decode()
            for key in keys
        }

    def summary(self, cloud: Cloud, batch: Batch) -> dict[str, Any]:
        progress = BatchStore(cloud.dynamodb, TABLES.processing_status).progress(batch.batch_id)
        assert progress is not None
        return progress.describe()

    def test_a_summary_is_written_at_the_end_and_never_before(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        running = self.upload(cloud, DOCUMENTED)
        process(batches, running, 0)
        assert self.summary(cloud, running)["reports"]["summary"] is None
        assert self.reports(cloud, running) == {}
        ended = self.upload(cloud, DOCUMENTED, "dry-run/payments.csv")
        process(batches, ended, 0)
        told = self.summary(cloud, ended)
        assert told["reports"]["summary"] == f"s3://results/{ended.batch_id}/summary.json"
        assert json.loads(self.reports(cloud, ended)["summary.json"]) == told

    def test_an_unreadable_file_is_refused_also_after_a_failure(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, b"")
        batches.fail(batch)
        process(batches, batch, 0)
        assert self.summary(cloud, batch)["status"] == "REFUSED"

    def queued(self, cloud: Cloud) -> list[PaymentRequest]:
        messages = (decode_message(message["Body"]) for message in cloud.messages())
        return sorted(messages, key=lambda message: message.payment_id)

    def test_every_valid_row_is_queued_as_its_own_payment(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, DOCUMENTED)
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
        batch = self.upload(cloud, DOCUMENTED + b"pay_4,-1,USD\n")
        process(batches, batch, 0)
        summary = self.summary(cloud, batch)
        assert (summary["rows"], summary["accepted"], summary["rejected"]) == (4, 3, 1)
        assert summary["accepted_amounts"] == {"EUR": "50.00", "USD": "175.50"}
        assert summary["status"] == "PROCESSING"

    def test_a_batch_is_complete_when_every_row_has_its_outcome(
        self, batches: BatchProcessing, store: PaymentStore, cloud: Cloud
    ) -> None:
        store.create(payment_request("pay_002", 1), actor="api", at="2026-01-01")
        batch = self.upload(cloud, DOCUMENTED + b"pay_003,75.50,USD\n")
        followed = process(batches, batch, 0)
        assert (followed["settled"], followed["wait_seconds"]) == (False, 2)
        assert batches.follow(batch, 400)["wait_seconds"] == 501
        assert batches.follow(batch, 501)["wait_seconds"] == 600
        ledger = SandboxLedger(cloud.dynamodb, TABLES.processing_status)
        processing = PaymentProcessing(store, SandboxGateway(ledger))
        for request in self.queued(cloud):
            PaymentDispatch(store, Started()).dispatch(request)
        step = StepContext(execution_arn="arn:execution", request_id="invocation", attempt=0)
        processing.charge("pay_001", step)
        assert batches.follow(batch, 2)["settled"] is False
        processing.charge("pay_003", step)
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
        assert {row["payment_id"]: row["outcome"] for row in rows} == {
            "pay_002": "conflict",
            "pay_003": "duplicate",
        }

    def test_a_step_that_is_repeated_changes_nothing(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, DOCUMENTED + b"pay_4,-1,USD\n")
        first = process(batches, batch, 0), self.summary(cloud, batch)
        again = process(batches, batch, 0), self.summary(cloud, batch)
        assert again == first
        sources = {row.source for row in self.queued(cloud)}
        assert len(sources) == 3

    def test_rejected_rows_come_back_as_csv_that_can_be_mended_and_sent_again(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        content = b'note,payment_id,amount,currency\n"a, b",pay_4,-1,usd\n'
        batch = self.upload(cloud, content)
        process(batches, batch, 0)
        report = self.reports(cloud, batch)["rejected-00000.csv"]
        [row] = csv.DictReader(io.StringIO(report))
        assert row == {
            "note": "a, b",
            "payment_id": "pay_4",
            "amount": "'-1",
            "currency": "usd",
            "line_number": "2",
            "field": "amount; currency",
            "code": "not_positive; unknown_currency",
            "message": row["message"],
        }
        half_mended = self.upload(cloud, report.replace("-1", "1").encode())
        process(batches, half_mended, 0)
        second = self.reports(cloud, half_mended)["rejected-00000.csv"]
        assert second.splitlines()[0] == report.splitlines()[0]
        mended = self.upload(cloud, second.replace("usd", "USD").encode())
        process(batches, mended, 0)
        assert self.summary(cloud, mended)["accepted"] == 1

    def test_parts_of_a_report_come_in_the_order_of_the_file(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        rows = b"".join(b"pay %d,1,USD\n" % number for number in range(100))
        batch = self.upload(cloud, b"payment_id,amount,currency\n" + rows)
        process(batches, batch, 0)
        reports = self.reports(cloud, batch)
        listed = self.summary(cloud, batch)["reports"]["rejected"]
        assert len(listed) > 10
        lines = [
            int(row["line_number"])
            for uri in listed
            for row in csv.DictReader(io.StringIO(reports[uri.rpartition("/")[2]]))
        ]
        assert lines == list(range(2, 102))

    def test_a_report_of_many_rows_is_written_in_parts(self) -> None:
        written: dict[int, bytes] = {}
        rejected = RejectedRows(["payment_id"], written.__setitem__, part_bytes=2000)
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
            int(row["line_number"])
            for number in range(rejected.parts)
            for row in csv.DictReader(io.StringIO(written[number].decode()))
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
                number=number, accepted=0, rejected=1, accepted_minor={}, reports=reports
            )
            batch_store.record_range(batch_id, result, "2026-01-01T00:00:00Z")
        progress = batch_store.progress(batch_id)
        assert progress is not None
        assert progress.describe()["reports"]["rejected"] == [
            "s3://results/x/rejected-00000.csv",
            "s3://results/x/rejected-00000-00001.csv",
            "s3://results/x/rejected-00002.csv",
        ]

    def test_cells_beyond_the_header_are_kept_in_the_report(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, b"payment_id,amount,currency\npay_1,1,000.00,USD\n")
        process(batches, batch, 0)
        [row] = csv.DictReader(io.StringIO(self.reports(cloud, batch)["rejected-00000.csv"]))
        assert (row["payment_id"], row["amount"], row["currency"]) == ("pay_1", "1", "000.00,USD")
        assert row["code"] == "column_count"

    def test_millions_of_rows_that_were_not_paid_are_reported_in_several_calls(
        self, objects: ObjectStore, queue: PaymentQueue, store: PaymentStore, cloud: Cloud
    ) -> None:
        batch_store = BatchStore(cloud.dynamodb, TABLES.processing_status)
        batches = BatchProcessing(objects, queue, batch_store, "results", reported_rows=5)
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(40))
        batch = self.upload(cloud, b"payment_id,amount,currency\n" + rows)
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
            row["payment_id"]
            for link in links
            for row in csv.DictReader(io.StringIO(reports[link.rpartition("/")[2]]))
        ]
        assert sorted(told) == sorted(f"pay_{number}" for number in range(40))

    def test_news_of_a_batch_name_its_summary_and_no_other_report(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        rows = b"".join(b"pay %d,1,USD\n" % number for number in range(100))
        batch = self.upload(cloud, b"payment_id,amount,currency\n" + rows)
        news = process(batches, batch, 0)["notification"]["batch"]
        summary = self.summary(cloud, batch)
        assert len(summary["reports"]["rejected"]) > 10
        assert news == {**summary, "reports": {"summary": summary["reports"]["summary"]}}

    def test_a_refused_file_has_a_report_that_says_so(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, b"")
        followed = process(batches, batch, 0)
        assert followed["notification"]["event_type"] == "batch.refused"
        summary = self.summary(cloud, batch)
        assert summary["status"] == "REFUSED"
        assert summary["reason"]["code"] == "empty_file"
        assert cloud.messages() == []

    def test_a_header_alone_is_complete_at_once(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, b"payment_id,amount,currency\n")
        assert process(batches, batch, 0)["settled"] is True
        assert self.summary(cloud, batch)["status"] == "COMPLETED"

    def test_a_dry_run_reports_the_same_and_queues_nothing(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        content = DOCUMENTED + b"pay_4,-1,USD\n"
        real, dry = self.upload(cloud, content), self.upload(cloud, content, "dry-run/a.csv")
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

    def test_a_file_that_is_gone_is_refused(self, batches: BatchProcessing, cloud: Cloud) -> None:
        batch = self.upload(cloud, DOCUMENTED)
        cloud.s3.delete_object(
            Bucket="files", Key="payments.csv", VersionId=batch.source.version_id
        )
        process(batches, batch, 0)
        assert self.summary(cloud, batch)["reason"]["code"] == "file_gone"

    def test_a_batch_that_fails_says_so(self, batches: BatchProcessing, cloud: Cloud) -> None:
        batch = self.upload(cloud, DOCUMENTED)
        batches.plan(batch, 0)
        notification = batches.fail(batch)["notification"]
        assert notification["event_type"] == "batch.failed"
        assert self.summary(cloud, batch)["reason"]["code"] == "processing_failed"

    def test_a_batch_that_could_not_even_be_planned_says_so(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, DOCUMENTED)
        assert batches.fail(batch)["notification"]["event_type"] == "batch.failed"
        summary = self.summary(cloud, batch)
        assert (summary["status"], summary["key"]) == ("FAILED", "payments.csv")

    def test_a_batch_that_has_ended_does_not_fail_afterwards(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, b"")
        ended = process(batches, batch, 0)["notification"]
        assert batches.fail(batch) == {"notification": ended}

    def test_a_batch_that_failed_completes_when_it_is_tried_again(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch = self.upload(cloud, DOCUMENTED, "dry-run/payments.csv")
        batches.plan(batch, 0)
        batches.fail(batch)
        assert process(batches, batch, 0)["notification"]["event_type"] == "batch.completed"
        assert self.summary(cloud, batch)["status"] == "COMPLETED"

    def test_the_plan_of_a_huge_file_fits_the_state_of_a_workflow(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(1000))
        batch = self.upload(cloud, b"payment_id,amount,currency\n" + rows)
        # As if it were a thousand times as large, with ranges of 50 bytes.
        plan = planned(batches, batch, 1000 * len(rows))
        assert 1 < len(plan["ranges"]) <= 2
        assert len(planned(batches, batch, len(rows))["ranges"]) > 100

    def test_a_huge_file_is_planned_in_several_calls_as_in_one(
        self, batches: BatchProcessing, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.objects._BLOCK_BYTES", 64)
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(100))
        batch = self.upload(cloud, b"payment_id,amount,currency\n" + rows)
        plan, calls = batches.plan(batch, 0), 1
        while not plan["planned"]:
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
        monkeypatch.setattr("payments.objects._BLOCK_BYTES", 64)
        rows = b"".join(b"pay_%d,1,USD\n" % number for number in range(100))
        batch = self.upload(cloud, b"payment_id,amount,currency\n" + rows + b"\xff")
        assert batches.plan(batch, 0)["planned"] is False
        assert planned(batches, batch, 0)["ranges"] == []
        assert self.summary(cloud, batch)["status"] == "REFUSED"

    def test_a_batch_id_follows_from_the_object_version(self) -> None:
        first = Batch(ObjectVersion("files", "a.csv", "1"))
        assert first.batch_id == Batch.from_dict(first.to_dict()).batch_id
        assert first.batch_id != Batch(ObjectVersion("files", "a.csv", "2")).batch_id


class TestUploads:
    """S3 events."""

    def test_a_real_event_starts_one_workflow_for_its_version(self) -> None:
        workflow = Started()
        start(load("s3_object_created"), workflow)
        start(load("s3_object_created"), workflow)
        source = ObjectVersion(
            "files", "march 2026/Überweisungen.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
        )
        assert workflow.started == [Batch(source).batch_id] * 2

    def test_only_objects_that_were_created_start_a_workflow(self) -> None:
        workflow = Started()
        start(load("s3_several_records"), workflow)
        sources = [
            ObjectVersion(
                "files", "march 2026/Überweisungen.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
            ),
            ObjectVersion("files", "dry-run/100% + more.csv", "L4kqtJlcpXroDTDmpUMLUo.other"),
        ]
        assert workflow.started == [Batch(source).batch_id for source in sources]

    @pytest.mark.parametrize("event", [load("s3_test_event"), {"Records": []}])
    def test_an_event_without_an_upload_starts_nothing(self, event: dict[str, Any]) -> None:
        workflow = Started()
        start(event, workflow)
        assert workflow.started == []

    @pytest.mark.parametrize(
        "name", ["s3_through_eventbridge", "s3_through_sns", "lambda_on_failure", "sqs_messages"]
    )
    def test_an_event_that_is_not_from_s3_is_not_passed_over(self, name: str) -> None:
        with pytest.raises(InvalidMessage):
            start(load(name), Started())

    def test_an_upload_without_a_version_is_known_by_its_content(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        cloud.s3.put_bucket_versioning(
            Bucket="files", VersioningConfiguration={"Status": "Suspended"}
        )
        etag = cloud.s3.put_object(Bucket="files", Key="unversioned payments.csv", Body=DOCUMENTED)
        event = load("s3_console_test_put")
        event["Records"][0]["s3"]["object"]["eTag"] = etag["ETag"].strip('"')
        workflow = Started()
        start(event, workflow)
        version_id = unversioned(etag["ETag"].strip('"'))
        batch = Batch(ObjectVersion("files", "unversioned payments.csv", version_id))
        assert workflow.started == [batch.batch_id]
        process(batches, batch, 0)
        assert len(cloud.messages()) == 3

    def test_an_upload_without_a_version_that_was_overwritten_is_gone(
        self, objects: ObjectStore, cloud: Cloud
    ) -> None:
        cloud.s3.put_bucket_versioning(
            Bucket="files", VersioningConfiguration={"Status": "Suspended"}
        )
        cloud.s3.put_object(Bucket="files", Key="a.csv", Body=DOCUMENTED)
        with pytest.raises(UnreadableFile, match="deleted"):
            list(objects.read(ObjectVersion("files", "a.csv", unversioned("0" * 32)), 0, 10))

    def test_the_steps_of_the_workflow_pass_a_batch_on(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        version = cloud.s3.put_object(Bucket="files", Key="a.csv", Body=DOCUMENTED)["VersionId"]
        batch = Batch(ObjectVersion("files", "a.csv", version)).to_dict()
        plan = None
        while plan is None or not plan["planned"]:
            step = {"action": "plan", "batch": batch, "size": len(DOCUMENTED), "before": plan}
            plan = run_step(step, batches)
        assert plan["notification"]["event_type"] == "batch.started"
        for part in plan["ranges"]:
            step = {"action": "range", "batch": batch, "columns": plan["columns"], "range": part}
            assert run_step(step, batches) == {}
        step = {"action": "follow", "batch": batch, "waited_seconds": 0}
        followed = run_step({**step, "reported": {"shards": 0, "files": 0}}, batches)
        assert followed["settled"] is False
        failed = run_step({"action": "fail", "batch": batch}, batches)
        assert failed["notification"]["event_type"] == "batch.failed"


class TestEncoding:
    """Rows as messages."""

    def test_a_row_is_encoded_as_any_other_payment(self) -> None:
        row = ValidRow(7, "pay-_1", 10**18 - 1, "USD")
        request = payment_request(
            "pay-_1", 10**18 - 1, "USD", source="batch:b:7", correlation_id="b:7"
        )
        assert encode_row("b", row) == encode_message(request)


class TestSending:
    """Sending many messages to the queue."""

    def test_every_message_arrives_however_many(self, queue: PaymentQueue, cloud: Cloud) -> None:
        messages = [f"message-{number}" for number in range(95)]
        assert queue.send_all(iter(messages), calls_in_flight=4) == 95
        assert sorted(message["Body"] for message in cloud.messages()) == sorted(messages)

    def test_entries_that_sqs_refuses_are_sent_again(
        self, queue: PaymentQueue, cloud: Cloud
    ) -> None:
        send, calls = cloud.sqs.send_message_batch, []

        def refuse_half(**arguments: Any) -> Any:
            calls.append(len(arguments["Entries"]))
            half = len(arguments["Entries"]) // 2
            refused = [
                {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                for entry in arguments["Entries"][:half]
            ]
            kept = arguments["Entries"][half:]
            return {**send(QueueUrl=arguments["QueueUrl"], Entries=kept), "Failed": refused}

        cloud.sqs.send_message_batch = refuse_half  # type: ignore[method-assign]  # the fault
        messages = [f"message-{number}" for number in range(10)]
        assert queue.send_all(messages, calls_in_flight=1) == 10
        assert calls == [10, 5, 2, 1]
        assert sorted(message["Body"] for message in cloud.messages()) == sorted(messages)

    def test_messages_that_cannot_be_sent_are_not_passed_over(
        self, queue: PaymentQueue, cloud: Cloud
    ) -> None:
        cloud.sqs.delete_queue(QueueUrl=cloud.queue_url)
        with pytest.raises(ServiceUnavailable):
            queue.send_all(["message"], calls_in_flight=2)
