"""Who uploads and who is on call: the policies of ``docs/policies`` let them do their work."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from payments.batches.batch import Batch, ObjectVersion
from tests.e2e.environment import eventually
from tests.e2e.operators import Operator

PAYMENT = "pay_by_an_operator"
FILE = "operators.csv"
LETTER = "no payment, put here by a test"


@pytest.fixture(scope="module")
def uploader(operator: Callable[..., Operator]) -> Operator:
    return operator("uploads")


@pytest.fixture(scope="module")
def on_call(operator: Callable[..., Operator]) -> Operator:
    return operator("on-call")


@pytest.fixture(scope="module")
def batch(uploader: Operator) -> Batch:
    """A batch that the uploader put into the bucket, and whose version they looked up."""
    bucket, s3 = uploader.environment.outputs["batch_bucket"], uploader.client("s3")
    body = f"payment_id,amount,currency\n{PAYMENT},1.00,USD\nbad id,1.00,USD\n".encode()
    s3.put_object(Bucket=bucket, Key=FILE, Body=body)
    return Batch(ObjectVersion(bucket, FILE, s3.head_object(Bucket=bucket, Key=FILE)["VersionId"]))


def queue(operator: Operator, base: str) -> str:
    name = f"{base}-{operator.environment.suffix}"
    url: str = operator.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return url


def test_who_uploads_can_follow_a_batch_to_its_end_and_read_its_reports(
    uploader: Operator, batch: Batch
) -> None:
    def ended() -> Any:
        try:
            answer = uploader.get(f"/batches/{batch.batch_id}")
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None  # the file is not seen yet
            raise
        return answer if answer["status"] == "COMPLETED" else None

    assert eventually(ended, patience=90)["rejected"] == 1
    results, s3 = uploader.environment.outputs["batch_results_bucket"], uploader.client("s3")
    listed = s3.list_objects_v2(Bucket=results, Prefix=f"{batch.batch_id}/")["Contents"]
    reports = {each["Key"].rpartition("/")[2] for each in listed}
    assert {"summary.json", "rejected-00000.csv"} <= reports
    for each in listed:
        assert s3.get_object(Bucket=results, Key=each["Key"])["Body"].read()


def test_who_uploads_can_change_and_see_nothing_else(uploader: Operator, batch: Batch) -> None:
    outputs, s3 = uploader.environment.outputs, uploader.client("s3")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=outputs["batch_results_bucket"], Key="forged.csv", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=outputs["batch_bucket"], Key="letter.txt", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=outputs["batch_bucket"], Key=batch.source.key)
    with pytest.raises(ClientError, match="AccessDenied"):
        uploader.client("dynamodb").scan(TableName=outputs["payments_table"])


def test_support_can_pay_look_up_and_tell_the_story_of_a_payment(
    operator: Callable[..., Operator],
) -> None:
    support = operator("support")
    suffix = support.environment.suffix
    paid = support.run("pay", "12.50", "EUR", "--env", suffix, "--yes", "--json")
    assert paid.returncode == 0, paid.stdout + paid.stderr
    payment = json.loads(paid.stdout)
    assert (payment["status"], payment["amount"]) == ("COMPLETED", "12.50")
    found = support.run("get", payment["payment_id"], "--env", suffix)
    assert "12.50 EUR  COMPLETED" in found.stdout, found.stderr
    traced = support.run("trace", payment["payment_id"], "--env", suffix)
    assert traced.returncode == 0, traced.stdout + traced.stderr


def test_an_approver_can_pay_nothing(operator: Callable[..., Operator]) -> None:
    approver = operator("approver")
    suffix = approver.environment.suffix
    refused = approver.run("pay", "12.50", "EUR", "--env", suffix, "--yes")
    assert refused.returncode == 1
    assert "Refused: pay 12.50 EUR" in refused.stderr
    assert "403" in refused.stderr


def test_who_uploads_can_pay_a_file_and_fetch_its_reports(
    uploader: Operator, tmp_path: Path
) -> None:
    suffix, file = uploader.environment.suffix, tmp_path / "command line.csv"
    file.write_text("payment_id,amount,currency\npay_by_command_line,1.00,USD\nbad id,1.00,USD\n")
    paid = uploader.run("batch", "upload", str(file), "--env", suffix, "--yes")
    assert paid.returncode == 1, "a row was rejected"
    assert "line 3: payment_id" in paid.stdout, paid.stderr
    batch_id = paid.stderr.rpartition(" is ")[2].strip()
    fetched = uploader.run(
        "batch", "report", batch_id, "--env", suffix, "--to", str(tmp_path / "r")
    )
    assert fetched.returncode == 0, fetched.stderr
    assert {each.name for each in (tmp_path / "r").iterdir()} == {
        "summary.json",
        "rejected-00000.csv",
    }


def test_on_call_can_trace_a_payment_and_verify_the_audit_trail(
    on_call: Operator, batch: Batch
) -> None:
    payments = on_call.environment.outputs["payments_table"]

    def final() -> Any:
        found = on_call.client("dynamodb").get_item(
            TableName=payments, Key={"payment_id": {"S": PAYMENT}}
        )
        return found.get("Item", {}).get("status", {}).get("S") == "COMPLETED" or None

    assert batch.source.key == FILE
    assert eventually(final, patience=90)
    suffix = on_call.environment.suffix
    traced = on_call.run("trace", "--env", suffix, PAYMENT)
    assert traced.returncode == 0, traced.stdout + traced.stderr
    verified = on_call.run("audit", "verify", "--env", suffix)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_on_call_can_look_at_redrive_and_empty_the_dead_letter_queue(on_call: Operator) -> None:
    url, sqs = queue(on_call, "payment-events-dlq"), on_call.client("sqs")
    on_call.environment.clients.sqs.send_message(QueueUrl=url, MessageBody=LETTER)
    seen = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    assert LETTER in {message["Body"] for message in seen["Messages"]}
    redriven = on_call.run("redrive", "--env", on_call.environment.suffix)
    assert redriven.returncode == 1, redriven.stdout + redriven.stderr
    [stays] = [line for line in redriven.stdout.splitlines() if line.startswith("stays: ")]
    assert stays.endswith(LETTER)
    sqs.purge_queue(QueueUrl=url)
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.purge_queue(QueueUrl=queue(on_call, "payment-events"))


def test_on_call_can_look_where_the_runbook_looks(on_call: Operator) -> None:
    suffix = on_call.environment.suffix
    assert on_call.client("cloudwatch").describe_alarms()["MetricAlarms"]
    workflows = on_call.client("stepfunctions")
    machines = {
        machine["name"]: machine["stateMachineArn"]
        for machine in workflows.list_state_machines()["stateMachines"]
    }
    for name in ("payment-workflow", "payment-batch-workflow"):
        workflows.list_executions(
            stateMachineArn=machines[f"{name}-{suffix}"], statusFilter="FAILED"
        )
    functions = on_call.client("lambda")
    assert functions.get_account_settings()["AccountLimit"]
    listed = functions.list_event_source_mappings(FunctionName=f"payment-processor-{suffix}:live")[
        "EventSourceMappings"
    ]
    assert listed


def test_on_call_can_sweep_at_once_and_replay_a_file(on_call: Operator, batch: Batch) -> None:
    answer = on_call.client("lambda").invoke(
        FunctionName=f"payment-processor-{on_call.environment.suffix}",
        Qualifier="live",
        Payload=json.dumps({"action": "sweep"}),
    )
    assert "FunctionError" not in answer
    replayed = on_call.client("s3").copy_object(
        Bucket=batch.source.bucket,
        Key=batch.source.key,
        CopySource={"Bucket": batch.source.bucket, "Key": batch.source.key},
        MetadataDirective="REPLACE",
    )
    assert replayed["VersionId"] != batch.source.version_id


def test_on_call_cannot_change_payments_or_code(on_call: Operator) -> None:
    outputs, suffix = on_call.environment.outputs, on_call.environment.suffix
    with pytest.raises(ClientError, match="AccessDenied"):
        on_call.client("dynamodb").delete_item(
            TableName=outputs["payments_table"], Key={"payment_id": {"S": PAYMENT}}
        )
    with pytest.raises(ClientError, match="AccessDenied"):
        on_call.client("lambda").update_function_code(
            FunctionName=f"payment-processor-{suffix}", ZipFile=b"nothing"
        )
