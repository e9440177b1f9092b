"""Tracing: only what X-Ray samples pays for the X-Ray SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAMBDA = Path(__file__).parents[2] / "lambda"

CALL = """
import sys
from payments.tracing import traced

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
