"""Both kinds of environment, synthesised once."""

from pathlib import Path
from typing import Any

import pytest

from lib.config import StackConfig
from main import synthesise
from tests.synth.terraform import Stack

SUFFIXES = ("dev", "prod")
ALARM_EMAIL = "on-call@example.com"
UPDATES_ENDPOINT = "arn:aws:sqs:eu-central-1:123456789012:ledger-updates"


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    return {
        suffix: synthesised(suffix, tmp_path_factory.mktemp(f"synth-{suffix}"))
        for suffix in SUFFIXES
    }


@pytest.fixture(params=SUFFIXES)
def stack(request: pytest.FixtureRequest, stacks: dict[str, Stack]) -> Stack:
    return stacks[request.param]


@pytest.fixture
def dev(stacks: dict[str, Stack]) -> Stack:
    return stacks["dev"]


@pytest.fixture
def prod(stacks: dict[str, Stack]) -> Stack:
    return stacks["prod"]


def synthesised(suffix: str, folder: Path, **processor: Any) -> Stack:
    config = StackConfig(
        suffix=suffix,
        region="eu-central-1",
        state_bucket="acme-terraform-state",
        state_bucket_region="us-east-1",
        # Protected environments have somebody who is told.
        alarm_email=ALARM_EMAIL if suffix == "prod" else None,
        payment_updates_endpoint=UPDATES_ENDPOINT if suffix == "prod" else None,
        **processor,
    )
    synthesise(config, folder=str(folder))
    return Stack(suffix, folder / "stacks" / config.name("payment-processing"))
