"""Where a command's environment is: the local cloud by its name, everything else by the shell."""

import os
from pathlib import Path

import pytest

from local import emulator
from local.emulator import Emulator
from operations import place
from operations.cli import main

HERE = Emulator(pid=1, started="", port=4600, authority="ca.pem")


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A shell that leads to production; what commands set is taken back."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://elsewhere.example")
    return monkeypatch


def test_the_local_cloud_is_entered_by_its_name_whatever_the_shell_says(
    shell: pytest.MonkeyPatch,
) -> None:
    shell.setattr(emulator, "running", lambda _: HERE)
    place.enter("local")
    assert os.environ["AWS_ENDPOINT_URL"] == "https://127.0.0.1:4600"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "test"
    assert os.environ["ENVIRONMENT_SUFFIX"] == "local"
    assert {"AWS_PROFILE", "AWS_ENDPOINT_URL_SQS"} & os.environ.keys() == set()


def test_a_shell_that_leads_here_keeps_its_key_which_may_be_another_persons(
    shell: pytest.MonkeyPatch,
) -> None:
    shell.setenv("AWS_ENDPOINT_URL", "https://localhost:4566")
    shell.setenv("AWS_ACCESS_KEY_ID", "AKIAANNA")
    place.enter("local")
    assert os.environ["AWS_ACCESS_KEY_ID"] == "AKIAANNA"


@pytest.mark.parametrize("suffix", ["prod", "dev", None])
def test_every_other_environment_is_where_the_shell_leads(suffix: str | None) -> None:
    before = dict(os.environ)
    place.enter(suffix)
    assert dict(os.environ) == before


def test_a_local_cloud_that_does_not_run_is_told(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shell.setattr(emulator, "running", lambda _: None)
    assert main(["--env", "local", "get", "pay_1"]) == 2
    assert "run make up first" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
