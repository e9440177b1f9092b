"""The deployed API against its contract, with requests that schemathesis generates from it."""

import subprocess

from local.workspace import REPOSITORY
from tests.contract import fuzz
from tests.e2e.environment import Environment


def test_no_generated_request_gets_an_answer_that_the_contract_does_not_promise(
    environment: Environment,
) -> None:
    api = environment.deployment.api_url_by_path
    ran = subprocess.run(
        fuzz.command(api, authority=environment.deployment.emulator.authority),
        cwd=REPOSITORY,
        env=fuzz.environment(local=True),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
