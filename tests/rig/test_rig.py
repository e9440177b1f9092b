"""The parts of the rig that decide something, and what they tell the person at the terminal."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from local import cli, demo, deployment, emulator, locks, surroundings
from local.deployment import Deployment
from local.emulator import Emulator
from local.workspace import REPOSITORY, Workspace

MACHINE = {
    "PATH": "/usr/bin",
    "HOME": "/home/someone",
    "HTTPS_PROXY": "http://proxy:3128",
    "AWS_PROFILE": "production",
    "AWS_CA_BUNDLE": "/etc/ssl/bundle.pem",
    "TF_CLI_CONFIG_FILE": "/missing",
    "TF_VAR_secret": "x",
    "PYTHONPATH": "/elsewhere",
    "ENVIRONMENT_SUFFIX": "prod",
}


def test_no_aws_or_terraform_setting_of_the_machine_reaches_a_tool() -> None:
    given = surroundings.for_tools(MACHINE)
    leaked = set(MACHINE) - {"PATH", "HOME", "HTTPS_PROXY"}
    assert leaked & given.keys() == set()
    assert given["HTTPS_PROXY"] == MACHINE["HTTPS_PROXY"], "the registry may need it"
    assert given["PATH"].endswith(":/usr/bin")


def test_functions_see_next_to_nothing_of_the_machine() -> None:
    assert surroundings.for_emulator(MACHINE) == {"PATH": "/usr/bin"}


def test_aws_clients_are_led_to_the_emulator_and_away_from_proxies() -> None:
    access = surroundings.aws_access(
        endpoint="https://127.0.0.1:4566", authority=Path("/state/ca.pem"), region="eu-west-1"
    )
    assert access["AWS_ENDPOINT_URL"] == "https://127.0.0.1:4566"
    assert access["AWS_CA_BUNDLE"] == "/state/ca.pem"
    assert access["AWS_REGION"] == access["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert "127.0.0.1" in access["NO_PROXY"]
    assert access["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"


def test_a_fingerprint_follows_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "lib"
    source.mkdir()
    (source / "a.py").write_text("1")

    def now() -> str:
        return deployment.fingerprint(tmp_path, ["lib", "missing.json"])

    first = now()
    (source / "__pycache__").mkdir()
    (source / "__pycache__/a.pyc").write_text("compiled")
    assert now() == first
    (source / "a.py").rename(source / "b.py")
    renamed = now()
    assert renamed != first
    (source / "b.py").write_text("2")
    assert now() not in {first, renamed}


def _deployed(workspace: Workspace) -> Deployment:
    workspace.deployment_record.write_text(
        json.dumps({"fingerprint": "", "outputs": {"api_id": "abc123"}})
    )
    authority = str(workspace.authority)
    return Deployment(workspace, Emulator(pid=1, started="", port=4600, authority=authority))


def test_the_printed_curl_works_from_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    command = demo.curl(_deployed(Workspace(state=tmp_path)), "/payments/pay_1")
    assert command[0] == "curl"
    assert command[-1] == "https://abc123.execute-api.localhost:4600/local/payments/pay_1"
    authority = command[command.index("--cacert") + 1]
    assert (REPOSITORY / authority).resolve() == (tmp_path / "ca.pem").resolve()
    assert "--noproxy" not in command


def test_the_printed_curl_goes_around_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert "--noproxy" in demo.curl(_deployed(Workspace(state=tmp_path)), "/payments")


def test_env_prints_what_a_shell_needs_and_what_it_must_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_deployment", _deployed)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://elsewhere.example")
    assert cli.main(["--state", str(tmp_path), "env"]) == 0
    unset, *exports = capsys.readouterr().out.splitlines()
    assert {"unset", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"} <= set(unset.split())
    assert "export API=https://abc123.execute-api.localhost:4600/local" in exports
    assert "export AWS_ENDPOINT_URL=https://127.0.0.1:4600" in exports


def test_what_needs_a_deployment_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--state", str(tmp_path), "outputs"]) == 1
    assert "run make up first" in capsys.readouterr().err


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="https://127.0.0.1:4600", error=OSError("refused")),
        ClientError({"Error": {"Code": "NoSuchBucket", "Message": "gone"}}, "PutObject"),
        URLError("refused"),
    ],
)
def test_a_local_cloud_that_fails_is_a_message_and_no_stack_trace(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(cli, "outputs", fail)
    assert cli.main(["--state", str(tmp_path), "outputs"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "",
        f"The local cloud did not do what it was asked: {failure}",
        "make status shows whether it runs, and make up starts it.",
    ]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The environments of the programs that a command started; each ends with 2."""
    started: list[dict[str, str]] = []

    def run(command: list[str], **given: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:] == ["-m", "operations", "doctor"]
        started.append(given["env"])
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(subprocess, "run", run)
    return started


def test_the_doctor_looks_at_the_environment_that_the_shell_names(
    tmp_path: Path, started: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFORM_STATE_BUCKET", "acme-terraform-state")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert cli.main(["--state", str(tmp_path), "doctor"]) == 2
    (environment,) = started
    assert environment["TERRAFORM_STATE_BUCKET"] == "acme-terraform-state"
    assert environment["AWS_PROFILE"] == "production"
    assert "AWS_ENDPOINT_URL" not in environment


def test_the_doctor_looks_at_the_local_cloud_if_the_shell_names_no_environment(
    tmp_path: Path, started: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERRAFORM_STATE_BUCKET", raising=False)
    here = Emulator(pid=1, started="", port=4600, authority="ca.pem")
    monkeypatch.setattr(emulator, "running", lambda _: here)
    assert cli.main(["--state", str(tmp_path), "doctor"]) == 2
    (environment,) = started
    assert environment["AWS_ENDPOINT_URL"] == "https://127.0.0.1:4600"
    assert environment["AWS_CA_BUNDLE"] == str(tmp_path / "ca.pem")
    assert environment["TERRAFORM_STATE_BUCKET"] == "terraform-state-local"
    assert environment["ENVIRONMENT_SUFFIX"] == "local"
    assert environment["TERRAFORM_STATE_BUCKET_REGION"] == environment["AWS_REGION"]


def test_the_doctor_says_what_it_could_look_at_if_there_is_neither(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERRAFORM_STATE_BUCKET", raising=False)
    assert cli.main(["--state", str(tmp_path), "doctor"]) == 2
    told = capsys.readouterr().err
    assert "export TERRAFORM_STATE_BUCKET" in told
    assert "make up" in told


def test_down_without_an_emulator_is_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--state", str(tmp_path), "down"]) == 0
    assert "Nothing is running" in capsys.readouterr().out


def test_down_says_that_an_emulator_died(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"pid": 2**22 + 1, "started": "once", "port": 4566, "authority": "ca.pem"}
    (tmp_path / "emulator.json").write_text(json.dumps(record))
    assert cli.main(["--state", str(tmp_path), "down"]) == 0
    assert "was gone already" in capsys.readouterr().out
    assert not (tmp_path / "emulator.json").exists()


@pytest.mark.parametrize("port", ["80", "70000", "x"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--port", port, "up"])
    assert ended.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_lock_files_forget_where_packages_were_found() -> None:
    package = {"hashes": ["sha256:0"], "index": "pypi", "version": "==1"}
    lock = {
        "_meta": {"sources": [{"url": "https://index.example/simple"}]},
        "default": {"a": package},
    }
    stripped = json.loads(locks.strip_pipfile_lock(json.dumps(lock)))
    assert stripped["_meta"]["sources"] == []
    assert stripped["default"]["a"] == {"hashes": ["sha256:0"], "version": "==1"}

    npm = '{\n  "version": "1.0.0",\n  "resolved": "https://registry/a.tgz",\n  "dev": true\n}'
    assert locks.strip_package_lock(npm) == '{\n  "version": "1.0.0",\n  "dev": true\n}'


def test_the_lock_files_of_this_repository_are_stripped() -> None:
    for name, strip in locks.STRIPPERS.items():
        text = (REPOSITORY / name).read_text()
        assert strip(text) == text, f"run make lock to strip {name}"
