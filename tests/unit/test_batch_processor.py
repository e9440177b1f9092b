"""Uploads start workflows, the workflow calls its steps, and its death ends its batch."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_processor import end, run_step, start
from payments.aws.objects import ObjectStore
from payments.batches.batch import Batch, ObjectVersion, unversioned
from payments.batches.steps import BatchProcessing
from payments.core.faults import InvalidMessage, ServiceUnavailable, UnreadableFile
from tests.unit.aws_events import load
from tests.unit.cloud import Cloud, Started, process

DOCUMENTED = (
    b"payment_id,amount,currency\npay_001,100.00,USD\npay_002,50.00,EUR\npay_003,75.50,USD\n"
)


class TestUploads:
    """S3 events."""

    def test_a_real_event_starts_one_workflow_for_its_version(self) -> None:
        workflow = Started()
        start(load("s3_object_created"), workflow)
        start(load("s3_object_created"), workflow)
        source = ObjectVersion(
            "files", "march 2026/Überweisungen.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
        )
        assert workflow.once == [Batch(source).batch_id] * 2

    def test_the_batch_is_of_who_uploaded_it(self) -> None:
        for principal, submitted_by in (
            ("AWS:AIDAEXAMPLE", "AIDAEXAMPLE"),
            ("AWS:AROAEXAMPLE:alice@example.com", "AROAEXAMPLE:alice@example.com"),
            ('"injected', None),
        ):
            event = load("s3_object_created")
            event["Records"][0]["userIdentity"] = {"principalId": principal}
            workflow = Started()
            start(event, workflow)
            [started] = workflow.inputs
            assert started["batch"].get("submitted_by") == submitted_by
            assert Batch.from_dict(started["batch"]).submitted_by == submitted_by

    def test_only_objects_that_were_created_start_a_workflow(self) -> None:
        workflow = Started()
        start(load("s3_several_records"), workflow)
        sources = [
            ObjectVersion(
                "files", "march 2026/Überweisungen.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
            ),
            ObjectVersion("files", "dry-run/100% + more.csv", "L4kqtJlcpXroDTDmpUMLUo.other"),
        ]
        assert workflow.once == [Batch(source).batch_id for source in sources]

    @pytest.mark.parametrize(
        ("key", "size", "started"),
        [
            ("march/", 0, 0),
            ("march/PAYMENTS.CSV", 0, 1),
            ("march/", 5, 1),
            ("payments.xlsx", 5, 1),
            ("payments", 0, 1),
        ],
    )
    def test_every_object_gets_an_answer_but_what_consoles_make_of_a_folder(
        self, key: str, size: int, started: int
    ) -> None:
        event = load("s3_object_created")
        event["Records"][0]["s3"]["object"].update(key=key, size=size)
        workflow = Started()
        start(event, workflow)
        assert len(workflow.once) == started

    @pytest.mark.parametrize("event", [load("s3_test_event"), {"Records": []}])
    def test_an_event_without_an_upload_starts_nothing(self, event: dict[str, Any]) -> None:
        workflow = Started()
        start(event, workflow)
        assert workflow.once == []

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
        assert workflow.once == [batch.batch_id]
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

    @pytest.mark.parametrize(
        ("error", "code", "hint"),
        [
            ("AccessDenied", "not_readable", "without a key of its own"),
            ("KMS.AccessDeniedException", "not_readable", "without a key of its own"),
            ("KMS.DisabledException", "not_readable", "without a key of its own"),
            ("InvalidRequest", "not_readable", "without a key of its own"),
            ("InvalidObjectState", "archived", "restore it"),
        ],
    )
    def test_an_object_that_no_other_try_could_read_is_refused(
        self, objects: ObjectStore, cloud: Cloud, error: str, code: str, hint: str
    ) -> None:
        source = cloud.upload(DOCUMENTED).source

        def refuse(**_: object) -> None:
            raise ClientError({"Error": {"Code": error}}, "GetObject")

        cloud.s3.meta.events.register("before-call.s3.GetObject", refuse)
        with pytest.raises(UnreadableFile, match=hint) as refused:
            list(objects.read(source))
        assert refused.value.code == code

    @pytest.mark.parametrize("error", ["SlowDown", "InternalError", "KMS.ThrottlingException"])
    def test_an_object_that_another_try_could_read_is_not_refused(
        self, objects: ObjectStore, cloud: Cloud, error: str
    ) -> None:
        source = cloud.upload(DOCUMENTED).source

        def refuse(**_: object) -> None:
            raise ClientError({"Error": {"Code": error}}, "GetObject")

        cloud.s3.meta.events.register("before-call.s3.GetObject", refuse)
        with pytest.raises(ServiceUnavailable):
            list(objects.read(source))

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
            assert run_step(step, batches) == {"wait_seconds": 0}
        step = {"action": "follow", "batch": batch, "waited_seconds": 0}
        followed = run_step({**step, "reported": {"shards": 0, "files": 0}}, batches)
        assert followed["settled"] is False
        failed = run_step({"action": "fail", "batch": batch}, batches)
        assert failed["notification"]["event_type"] == "batch.failed"

    def test_a_range_waits_for_room_while_the_queue_is_full(
        self, batches: BatchProcessing, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.batches.steps.QUEUE_IS_FULL_AT", 3)
        paid, other = cloud.upload(DOCUMENTED), cloud.upload(DOCUMENTED, "b.csv")
        rehearsed = cloud.upload(DOCUMENTED, "dry-run/c.csv")
        process(batches, paid, 0)
        step = {
            "action": "range",
            "columns": ["payment_id", "amount", "currency"],
            "range": {"number": 0, "start": 27, "end": len(DOCUMENTED), "line": 2},
        }
        assert run_step({**step, "batch": other.to_dict()}, batches)["wait_seconds"] > 0
        assert run_step({**step, "batch": rehearsed.to_dict()}, batches)["wait_seconds"] == 0
        assert len(cloud.taken(cloud.rows_url)) == 3
        assert run_step({**step, "batch": other.to_dict()}, batches)["wait_seconds"] == 0
        assert len(cloud.taken(cloud.rows_url)) == 3


class TestDeaths:
    """Executions that no catcher could save, as EventBridge tells of them."""

    def death(self, batch: Batch, status: str, name: str = "") -> dict[str, Any]:
        given = {"batch": batch.to_dict(), "size": len(DOCUMENTED)}
        detail = {"name": name or batch.batch_id, "status": status, "input": json.dumps(given)}
        return {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": detail,
        }

    @pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
    def test_an_open_batch_is_ended_by_an_execution_of_its_own_once_for_each_death(
        self, batches: BatchProcessing, cloud: Cloud, status: str
    ) -> None:
        batch, workflow = cloud.upload(DOCUMENTED), Started()
        for _ in range(2):
            end(self.death(batch, status), batches, workflow)
        end(self.death(batch, status, "restart-02"), batches, workflow)
        assert len(workflow.once) == 3
        assert len(set(workflow.once)) == 2
        for given in workflow.inputs:
            assert given["batch"] == batch.to_dict()
            assert given["size"] == len(DOCUMENTED)
            assert given["error"]["Error"] == f"Workflow.{status}"

    def test_a_batch_that_has_ended_stays_as_it_is(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        refused, workflow = cloud.upload(b""), Started()
        process(batches, refused, 0)
        for status in ("ABORTED", "TIMED_OUT", "FAILED"):
            end(self.death(refused, status), batches, workflow)
        assert workflow.once == []

    def test_a_batch_that_failed_properly_is_failed_once_and_one_that_was_stopped_later_again(
        self, batches: BatchProcessing, cloud: Cloud
    ) -> None:
        batch, workflow = cloud.upload(DOCUMENTED), Started()
        batches.fail(batch)
        end(self.death(batch, "FAILED"), batches, workflow)
        assert workflow.once == []
        end(self.death(batch, "ABORTED"), batches, workflow)
        assert len(workflow.once) == 1
