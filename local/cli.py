"""The commands of `python -m local`."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import URLError

from botocore.exceptions import BotoCoreError, ClientError

from lib.config import Processor
from local import demo as demonstration
from local import deployment, emulator, stripe, surroundings, traffic
from local.console import console, step
from local.deployment import Deployment
from local.errors import RigError
from local.stripe_double.double import TEST_KEY
from local.workspace import REPOSITORY, Workspace

FAILED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    What went wrong is a message, not a stack trace: 1 after a `RigError`, 2 if the local cloud did
    not answer, or refused.
    """
    options = _parser().parse_args(arguments)
    workspace = Workspace(state=options.state.resolve(), suffix=options.suffix)
    command: Callable[[Workspace, argparse.Namespace], int | None] = options.command
    try:
        return command(workspace, options) or 0
    except RigError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError, URLError) as error:
        reason = " ".join(str(error).split())
        print(f"\nThe local cloud did not do what it was asked: {reason}", file=sys.stderr)
        print("make status shows whether it runs, and make up starts it.", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nInterrupted. make down removes what is there.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="The payment system on this machine: an AWS emulator and a real deployment.",
    )
    parser.add_argument(
        "--port",
        type=_port,
        help=f"where the emulator listens on 127.0.0.1 (default: {emulator.DEFAULT_PORT}, "
        "or where it runs already)",
    )
    parser.add_argument(
        "--suffix",
        default=Workspace.suffix,
        help="name of the environment (default: %(default)s); one that begins with neither dev, "
        "test nor pr- is protected and takes signed requests only",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Workspace.state,
        metavar="DIRECTORY",
        help="where everything about it is kept (default: .local)",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    up_ = commands.add_parser("up", help="start the emulator and deploy to it")
    up_.add_argument("--redeploy", action="store_true", help="deploy even if nothing changed")
    up_.set_defaults(command=up)
    demo_ = commands.add_parser("demo", help="up, then pay one payment with curl and one CSV file")
    demo_.set_defaults(command=demo, redeploy=False)
    for each in (up_, demo_):
        each.add_argument(
            "--processor",
            type=Processor,
            choices=tuple(Processor),
            default=Processor.SANDBOX,
            help="who charges: the sandbox (default), or a double of Stripe on this machine",
        )
    commands.add_parser(
        "down", help="destroy the deployment through cdktf and stop the emulator"
    ).set_defaults(command=down)
    commands.add_parser("status", help="show what runs, and where").set_defaults(command=status)
    commands.add_parser("outputs", help="print the stack's outputs as JSON").set_defaults(
        command=outputs
    )
    commands.add_parser(
        "env", help="print shell commands that point curl, boto3 and the AWS CLI here"
    ).set_defaults(command=env)
    commands.add_parser(
        "doctor", help="look at what a deployment needs, in AWS or in the local cloud"
    ).set_defaults(command=doctor)
    commands.add_parser(
        "dashboard", help="do some business, then draw the dashboard into docs/dashboard.png"
    ).set_defaults(command=dashboard)
    commands.add_parser(
        "synth", help="only synthesise Terraform, into the state directory"
    ).set_defaults(command=synth)
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 1024 <= port <= 65535:  # noqa: PLR2004 - unprivileged ports
        raise argparse.ArgumentTypeError("a port from 1024 to 65535")
    return port


def up(workspace: Workspace, options: argparse.Namespace) -> None:
    """Start the emulator if it is not running and deploy if the sources changed."""
    with emulator.exclusive(workspace):
        running = _running_emulator(workspace, port=options.port)
        if options.processor is Processor.STRIPE:
            with step("Starting Stripe's double"):
                stripe.start(workspace)
        else:
            stripe.stop(workspace)
        deployed = Deployment(workspace, running)
        if deployed.is_current() and not options.redeploy:
            console.print(f"Already up, and nothing changed since: {deployed.api_url}")
        else:
            deployed.deploy()
            console.print(f"Up: {deployed.api_url}")
        if options.processor is Processor.STRIPE:
            with step("Giving the environment its key (payments processor set-key)"):
                _run_operation(workspace, deployed, "processor", "set-key", typed=f"{TEST_KEY}\n")


def _running_emulator(workspace: Workspace, *, port: int | None) -> emulator.Emulator:
    found = emulator.running(workspace)
    if found and port not in {None, found.port}:
        raise RigError(
            f"The emulator of {workspace.state} runs at port {found.port} already; "
            f"run make down first to move it to port {port}."
        )
    if found and emulator.answers(found):
        return found
    if found:
        console.print("The emulator runs but does not answer: stopping it and starting afresh.")
        emulator.stop(workspace)
    elif emulator.recorded(workspace):
        console.print(
            "The emulator of an earlier run is gone, and with it everything that was in its "
            "memory: starting afresh."
        )
    port = port or emulator.DEFAULT_PORT
    emulator.require_free(port)
    with step(f"Starting the AWS emulator on {emulator.HOST}:{port}"):
        return emulator.start(workspace, port=port)


def demo(workspace: Workspace, options: argparse.Namespace) -> None:
    """Make up, then pay."""
    up(workspace, options)
    deployed = _deployment(workspace)
    demonstration.run(
        deployed,
        lambda payment_id: _run_operation(workspace, deployed, "trace", payment_id),
        stripe.running(workspace),
    )


def down(workspace: Workspace, _options: argparse.Namespace) -> None:
    """Destroy through cdktf and stop the emulator; repeatable."""
    with emulator.exclusive(workspace):
        stripe.stop(workspace)
        found = emulator.running(workspace)
        if not found:
            was_recorded = emulator.recorded(workspace) is not None
            emulator.forget(workspace)
            console.print(
                "The emulator was gone already, and with it everything that was in its memory."
                if was_recorded
                else "Nothing is running."
            )
            return
        try:
            Deployment(workspace, found).destroy()
        finally:
            with step("Stopping the AWS emulator"):
                emulator.stop(workspace)


def status(workspace: Workspace, _options: argparse.Namespace) -> None:
    """Say what runs, and where."""
    found = emulator.running(workspace)
    if not found:
        console.print("The emulator is not running: make up starts it.")
        return
    well = "answers" if emulator.answers(found) else "does not answer"
    console.print(f"Emulator: {found.endpoint}, process {found.pid}, {well}")
    console.print(f"Its certificate authority: {found.authority}")
    if double := stripe.running(workspace):
        console.print(f"Stripe's double: {double.url}, process {double.pid}")
    console.print(f"Logs: {workspace.logs}")
    deployed = Deployment(workspace, found)
    try:
        console.print(f"API: {deployed.api_url}")
    except RigError as error:
        console.print(str(error))
        return
    if not deployed.is_current():
        console.print("The sources changed since it was deployed: make up deploys them.")


def outputs(workspace: Workspace, _options: argparse.Namespace) -> None:
    """Print the stack's outputs as JSON."""
    print(json.dumps(_deployment(workspace).outputs(), indent=2))


def env(workspace: Workspace, _options: argparse.Namespace) -> None:
    """Print what `eval` needs for a shell that speaks to the local cloud as to AWS."""
    deployed = _deployment(workspace)
    variables = (
        surroundings.aws_access(
            endpoint=deployed.emulator.endpoint,
            authority=workspace.authority,
            region=workspace.region,
        )
        | deployment.configuration(workspace)
        | {"API": deployed.api_url, "CURL_CA_BUNDLE": str(workspace.authority)}
    )
    print(surroundings.shell_commands(variables, os.environ))


def doctor(workspace: Workspace, _options: argparse.Namespace) -> int:
    """Look at the environment that the shell names, else at the local cloud; return the exit code.

    Whoever is about to deploy has named the bucket of the state; nobody else does.
    """
    if os.environ.get("TERRAFORM_STATE_BUCKET"):
        return _exit_code_of(workspace, None, "doctor")
    if not emulator.running(workspace):
        print(
            "There is nothing to look at: the shell names no environment in AWS"
            " (export TERRAFORM_STATE_BUCKET and the other three variables), and the local cloud"
            " is not running (make up).",
            file=sys.stderr,
        )
        return FAILED
    return _exit_code_of(workspace, _deployment(workspace), "doctor")


def _run_operation(
    workspace: Workspace, deployed: Deployment, *operation: str, typed: str | None = None
) -> None:
    if code := _exit_code_of(workspace, deployed, *operation, typed=typed):
        raise RigError(f"{' '.join(operation)} ended with exit code {code}.")


def _exit_code_of(
    workspace: Workspace,
    deployed: Deployment | None,
    *operation: str,
    typed: str | None = None,
) -> int:
    local = {}
    if deployed:
        local = deployment.configuration(workspace) | surroundings.aws_access(
            endpoint=deployed.emulator.endpoint,
            authority=workspace.authority,
            region=workspace.region,
        )
    return subprocess.run(
        [sys.executable, "-m", "operations", *operation],
        check=False,
        input=typed,
        text=True,
        cwd=REPOSITORY,
        env=(surroundings.for_operations(os.environ) | local) if deployed else dict(os.environ),
    ).returncode


def dashboard(workspace: Workspace, _options: argparse.Namespace) -> None:
    """Do some business at the local cloud, then draw its dashboard into the documentation."""
    deployed = _deployment(workspace)
    if not deployed.is_current():
        raise RigError("The sources changed since it was deployed: run make up first.")
    traffic.run(deployed)
    with step("Drawing the dashboard"):
        _run_operation(workspace, deployed, "dashboard")


def synth(workspace: Workspace, _options: argparse.Namespace) -> None:
    """Synthesise into the state directory, without an emulator."""
    with emulator.exclusive(workspace), step("Synthesising Terraform (cdktf synth)"):
        environment = deployment.synth_environment(workspace)
        deployment.synthesise(workspace, environment=environment)
    console.print(f"Written to {workspace.synthesised}")


def _deployment(workspace: Workspace) -> Deployment:
    found = emulator.running(workspace)
    if not found:
        raise RigError("The emulator is not running: run make up first.")
    return Deployment(workspace, found)
