"""Four eyes: IAM users with the documented policies, by API and by file."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.e2e.environment import eventually
from tests.e2e.operators import Operator

NOTE = "agreed with the supplier"


def ran(operator: Operator, *command: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line as somebody, which must end with this code."""
    done = operator.run(*command, "--env", operator.environment.suffix)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done


def decide(
    operator: Operator, decision: str, payment_id: str, *which: str, exit_code: int = 0
) -> str:
    command = ("review", decision, payment_id, *which, "--note", NOTE, "--yes", "--json")
    done = ran(operator, *command, exit_code=exit_code)
    return done.stdout + done.stderr


def statuses(payment: dict[str, Any]) -> list[str]:
    return [entry["status"] for entry in payment["history"]]


def test_a_large_payment_waits_for_somebody_else_than_who_asked_for_it(
    operator: Callable[..., Operator], payment_id: Callable[[], str]
) -> None:
    """Each person also has the right to decide: only who they are stands in their way."""
    payer, uploader = operator("support", "approver"), operator("uploads", "approver")
    approver = operator("approver")
    suffix, bucket = payer.environment.suffix, payer.environment.outputs["batch_bucket"]
    paid, row = payment_id(), payment_id()

    # The file is on its way while the other payment is looked at.
    body = f"payment_id,amount,currency\n{row},50000.01,USD\n".encode()
    uploader.client("s3").put_object(Bucket=bucket, Key=f"{row}.csv", Body=body)
    ran(payer, "pay", "50000.01", "USD", "--id", paid, "--yes")
    assert payer.get(f"/payments/{paid}")["status"] == "IN_REVIEW"

    refused = decide(payer, "approve", paid, exit_code=1)
    assert "own_payment" in refused
    assert payer.get(f"/payments/{paid}")["status"] == "IN_REVIEW"
    approved = json.loads(decide(approver, "approve", paid))
    assert approved["status"] == "COMPLETED"
    assert statuses(approved) == ["PENDING", "IN_REVIEW", "PROCESSING", "COMPLETED"]
    assert "review-decided" in decide(uploader, "reject", paid, exit_code=1)

    # Neither does who asked for it give all of it back alone.
    ran(payer, "refund", paid, "--id", "re_1", "--yes")
    assert "own_refund" in decide(payer, "approve", paid, "--refund", "re_1", exit_code=1)
    waiting = approver.get("/reviews")["data"]
    assert [each["submitted_by"] for each in waiting if each.get("refund_id") == "re_1"] == [
        payer.client("sts").get_caller_identity()["Arn"].rpartition("/")[2].lower()
    ]
    refunded = json.loads(decide(approver, "approve", paid, "--refund", "re_1"))
    assert (refunded["status"], refunded["amounts"]["refunded"]) == ("COMPLETED", "50000.01")

    def waits() -> bool | None:
        listed = approver.get("/payments?status=IN_REVIEW")["data"]
        return any(each["payment_id"] == row for each in listed) or None

    assert eventually(waits, patience=60), f"the row of a file in {suffix}"
    assert "own_payment" in decide(uploader, "approve", row, exit_code=1)
    rejected = json.loads(decide(approver, "reject", row))
    assert rejected["failure_code"] == "review_rejected"
    assert statuses(rejected) == ["PENDING", "IN_REVIEW", "FAILED"]
    assert rejected["amounts"]["captured"] == "0.00"
