"""Tracing: only what X-Ray samples pays for the X-Ray SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAMBDA = Path(__file__).parents[3] / "lambda"

CALL = """
import sys
from payments.telemetry.traces import traced

@traced
def handler(event, context):
    return {"seen": event}

assert handler({"a": 1}, None) == {"seen": {"a": 1}}
print("aws_xray_sdk" in sys.modules)
"""


@pytest.mark.parametrize(
    ("header", "loaded"),
    [
        (None, "False"),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0", "False"),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "True"),
    ],
    ids=["no trace", "not sampled", "sampled"],
)
def test_only_a_sampled_invocation_loads_the_sdk(header: str | None, loaded: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(LAMBDA), "POWERTOOLS_SERVICE_NAME": "test"}
    environment.pop("_X_AMZN_TRACE_ID", None)
    if header is not None:
        environment["_X_AMZN_TRACE_ID"] = header
    done = subprocess.run(
        [sys.executable, "-c", CALL], capture_output=True, check=True, env=environment, text=True
    )
    assert done.stdout.strip() == loaded


ANNOTATE = """
from payments.telemetry.traces import annotate, part_of_trace, traced
from aws_xray_sdk.core.models.subsegment import Subsegment

seen = []
keep = Subsegment.put_annotation

def note(self, key, value):
    seen.append((self.name, key, value))
    keep(self, key, value)

Subsegment.put_annotation = note

@traced
def handler(event, context):
    annotate("payment_id", "pay_1")
    with part_of_trace("## message"):
        annotate("payment_id", "pay_2")
    return {}

handler({}, None)
print([told for told in seen if told[1] == "payment_id"])
"""


def test_a_trace_is_found_by_each_payment_that_it_is_about() -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(LAMBDA),
        "POWERTOOLS_SERVICE_NAME": "test",
        "POWERTOOLS_TRACE_DISABLED": "false",
        "LAMBDA_TASK_ROOT": "/var/task",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    }
    done = subprocess.run(
        [sys.executable, "-c", ANNOTATE],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
    )
    assert done.stdout.strip() == (
        "[('## handler', 'payment_id', 'pay_1'), ('## message', 'payment_id', 'pay_2')]"
    ), done.stderr
