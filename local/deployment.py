"""The real `cdktf deploy`, against an emulator instead of AWS."""

import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from local import emulator as emulators
from local import providers, stripe, surroundings
from local.clients import Clients
from local.console import step
from local.emulator import Emulator
from local.errors import RigError
from local.workspace import REPOSITORY, Workspace

# What decides about a deployment; a change of any makes `make up` deploy again.
SOURCES = (
    *("main.py", "cdktf.json", "lib", "lambda"),
    *("Pipfile.lock", "package-lock.json", ".terraform.lock.hcl"),
)

# The provider itself sleeps while AWS would settle, so that most of a deployment is waiting:
# more at once makes it shorter.
PARALLELISM = 40

EXPECTED_OUTPUTS = frozenset(
    {
        "api_id",
        "api_url",
        "audit_logs_table",
        "batch_bucket",
        "batch_results_bucket",
        "batch_workflow_arn",
        "payment_events_dlq_url",
        "payment_events_queue_url",
        "payment_notifications_topic_arn",
        "payment_workflow_arn",
        "payments_table",
        "processing_status_table",
    }
)


def fingerprint(root: Path = REPOSITORY, sources: Sequence[str] = SOURCES) -> str:
    """Return a hash over the names and contents of all that decides about a deployment."""
    digest = hashlib.sha256()
    for file in _files(root, sources):
        name = file.relative_to(root).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(root: Path, sources: Sequence[str]) -> Iterator[Path]:
    for source in sources:
        path = root / source
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.is_file())
            yield from sorted(file for file in found if "__pycache__" not in file.parts)
        elif path.is_file():
            yield path


class Deployment:
    """The stack of this repository, or of another checkout of it (``sources``), in one emulator.

    Every public method is one step of the way; `deploy` and `destroy` call the real cdktf.
    """

    def __init__(
        self, workspace: Workspace, emulator: Emulator, *, sources: Path = REPOSITORY
    ) -> None:
        self.sources = sources
        self.workspace = workspace
        self.emulator = emulator
        self.clients = Clients(emulator, region=workspace.region)

    # --- what there is

    def outputs(self) -> dict[str, str]:
        """Return the outputs of the stack as last deployed.

        Raises:
            RigError: nothing is deployed.
        """
        record = self._record()
        if record is None:
            raise RigError("Nothing is deployed here yet: run make up first.")
        outputs: dict[str, str] = record["outputs"]
        return outputs

    def is_deployed(self) -> bool:
        """Whether the last deployment succeeded and was not destroyed since."""
        return self._record() is not None

    def is_current(self) -> bool:
        """Whether what is deployed was made from the sources and settings as they are now."""
        record = self._record()
        return (
            record is not None
            and record["fingerprint"] == fingerprint()
            and record.get("configuration") == configuration(self.workspace)
        )

    def _record(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self.workspace.deployment_record.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return record

    @property
    def api_url(self) -> str:
        """URL of the payments API for curl."""
        return self.emulator.api_url(api_id=self.outputs()["api_id"], stage=self.workspace.suffix)

    @property
    def api_url_by_path(self) -> str:
        """URL of the payments API for Python."""
        return self.emulator.api_url_by_path(
            api_id=self.outputs()["api_id"], stage=self.workspace.suffix
        )

    # --- the way to a deployment and back

    def deploy(self) -> dict[str, str]:
        """Take the whole way from an empty emulator to a deployed stack; return its outputs."""
        made_from = {
            "fingerprint": fingerprint(),
            "configuration": configuration(self.workspace),
        }
        with step("Creating the state bucket"):
            self.create_state_bucket()
        with step("Synthesising Terraform (cdktf synth)"):
            self.synthesise()
        with step("Preparing Terraform (terraform init)"):
            self.initialise()
        self.workspace.deployment_record.unlink(missing_ok=True)
        with step("Deploying (cdktf deploy)") as deploying:
            outputs = self._cdktf_deploy(note=deploying.note)
        record = {**made_from, "outputs": outputs}
        self.workspace.deployment_record.write_text(json.dumps(record, indent=2) + "\n")
        return outputs

    def create_state_bucket(self) -> None:
        """Create the bucket for the Terraform state, unless it is there.

        A lock in it is removed: this workspace runs one command at a time, so whoever took the
        lock is dead.
        """
        s3, name = self.clients.s3, self.workspace.state_bucket
        if name not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=name)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
            if entry["Key"].endswith(".tflock"):
                s3.delete_object(Bucket=name, Key=entry["Key"])

    def synthesise(self) -> None:
        """Run `cdktf synth` into the workspace."""
        synthesise(self.workspace, environment=self.environment, sources=self.sources)

    def initialise(self) -> None:
        """Run `terraform init` with the provider mirror of this machine, if it has one.

        It leaves the lock file without which `cdktf deploy` would ask the registry:
        https://developer.hashicorp.com/terraform/cli/commands/providers/lock
        """
        self.terraform("init", "-input=false", "-no-color", log="terraform-init")

    def _cdktf_deploy(self, *, note: Callable[[str], None]) -> dict[str, str]:
        written = self.workspace.state / "outputs.json"
        written.unlink(missing_ok=True)
        total, done = 0, 0

        def follow(line: str) -> None:
            nonlocal total, done
            if planned := re.search(r"Plan: (\d+) to add, (\d+) to change", line):
                total = int(planned[1]) + int(planned[2])
            elif re.search(r"(Creation|Modifications) complete after", line):
                done += 1
            else:
                return
            note(f"{done} of {total} resources")

        self._cdktf(
            *("deploy", "--auto-approve", "--no-color", "--outputs-file", str(written)),
            *("--terraform-parallelism", str(PARALLELISM)),
            log="cdktf-deploy",
            follow=follow,
        )
        (outputs,) = json.loads(written.read_text()).values()
        if missing := EXPECTED_OUTPUTS - outputs.keys():
            raise RigError(f"The stack lacks these outputs: {', '.join(sorted(missing))}")
        return dict(outputs)

    def destroy(self) -> None:
        """Run `cdktf destroy`, if anything was ever synthesised here."""
        if not self.stack_directory:
            return
        with step("Destroying (cdktf destroy)") as destroying:
            done = 0

            def follow(line: str) -> None:
                nonlocal done
                if "Destruction complete after" in line:
                    done += 1
                    destroying.note(f"{done} resources")

            self.create_state_bucket()
            self._cdktf(
                *(
                    "destroy",
                    "--auto-approve",
                    "--no-color",
                    "--terraform-parallelism",
                    str(PARALLELISM),
                ),
                log="cdktf-destroy",
                follow=follow,
            )
        self.workspace.deployment_record.unlink(missing_ok=True)

    def plan(self) -> dict[str, Any]:
        """Plan once more and return the plan as Terraform's JSON.

        Its `resource_changes` list every resource with what would happen to it:
        https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
        """
        file = self.workspace.state / "again.tfplan"
        self.terraform(
            *("plan", "-input=false", "-no-color", f"-out={file}"),
            f"-parallelism={PARALLELISM}",
            log="terraform-plan",
        )
        shown = subprocess.run(
            ["terraform", f"-chdir={self._initialised}", "show", "-json", str(file)],
            capture_output=True,
            check=True,
            env=self.environment,
            text=True,
        )
        plan: dict[str, Any] = json.loads(shown.stdout)
        return plan

    # --- running programs

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """Environment variables for every program of a deployment."""
        providers.write_settings(self.workspace.terraform_settings)
        return (
            synth_environment(self.workspace)
            | surroundings.aws_access(
                endpoint=self.emulator.endpoint,
                authority=self.workspace.authority,
                region=self.workspace.region,
            )
            | {"TF_CLI_CONFIG_FILE": str(self.workspace.terraform_settings)}
        )

    @property
    def stack_directory(self) -> Path | None:
        """Directory of the synthesised stack, None before there is one."""
        found = sorted((self.workspace.synthesised / "stacks").glob("*/cdk.tf.json"))
        if len(found) > 1:
            names = ", ".join(file.parent.name for file in found)
            raise RigError(f"The application has more than one stack: {names}")
        return found[0].parent if found else None

    @property
    def _initialised(self) -> Path:
        directory = self.stack_directory
        if directory is None:
            raise RigError("Nothing is synthesised here yet: run make up first.")
        return directory

    def terraform(self, *arguments: str, log: str) -> None:
        """Run Terraform in the synthesised stack.

        Raises:
            RigError: it failed; the message holds the end of its output.
        """
        run(
            ["terraform", f"-chdir={self._initialised}", *arguments],
            environment=self.environment,
            log=self.workspace.logs / f"{log}.log",
        )

    def _cdktf(self, *arguments: str, log: str, follow: Callable[[str], None]) -> None:
        run(
            [
                *("cdktf", *arguments, "--skip-synth"),
                *("--app", "true", "--output", str(self.workspace.synthesised)),
            ],
            environment=self.environment,
            log=self.workspace.logs / f"{log}.log",
            follow=follow,
        )


def synth_environment(workspace: Workspace) -> dict[str, str]:
    """Return the environment variables to synthesise this workspace's stack with."""
    return surroundings.for_tools(os.environ) | configuration(workspace)


def configuration(workspace: Workspace) -> dict[str, str]:
    """Return the environment variables that this workspace's stack is configured with."""
    return {
        "ENVIRONMENT_SUFFIX": workspace.suffix,
        "AWS_REGION": workspace.region,
        "TERRAFORM_STATE_BUCKET": workspace.state_bucket,
        "TERRAFORM_STATE_BUCKET_REGION": workspace.region,
        **stripe.settings(workspace),
    }


def synthesise(
    workspace: Workspace, *, environment: Mapping[str, str], sources: Path = REPOSITORY
) -> None:
    """Run `cdktf synth` of some sources with this very Python, into the workspace.

    Raises:
        RigError: it failed; the message holds the end of its output.
    """
    run(
        [
            *("cdktf", "synth", "--app", f"{shlex.quote(sys.executable)} main.py"),
            *("--output", str(workspace.synthesised)),
        ],
        environment=environment,
        folder=sources,
        log=workspace.logs / "cdktf-synth.log",
    )


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    folder: Path = REPOSITORY,
    follow: Callable[[str], None] | None = None,
) -> None:
    """Run a program in a folder, its output into a log file.

    Args:
        command: program and arguments.
        environment: all of its environment variables.
        log: where its output goes; the command stands in the first line.
        folder: where it runs.
        follow: called with each line of output as it comes.

    Raises:
        RigError: it failed; the message holds the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as written:
        written.write(f"$ {' '.join(command)}\n")
        written.flush()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                for line in process.stdout or ():
                    written.write(line)
                    written.flush()
                    if follow:
                        follow(line)
            except KeyboardInterrupt:
                # It got the interrupt, too. Terraform finishes what it began and saves its state.
                print(f"\nStopping {command[0]}; a second interrupt abandons it.")
                process.wait()
                raise
    if process.returncode:
        raise RigError(
            f"{' '.join(command[:2])} failed (exit code {process.returncode}). "
            f"The end of {log}:\n{emulators.tail(log)}"
        )
