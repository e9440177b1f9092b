"""The start of each function as Lambda has it, compared with bare boto3 that makes the same clients.

Zip and layer are unpacked into folders that cannot be written, and nothing else is on the path but
the runtime's own boto3, whose bytecode the runtime has, as Lambda's does. The clock stops when the
function is ready to answer: what Python does to end a process is no part of a start.
"""

import compileall
import contextlib
import io
import socket
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from itertools import count
from pathlib import Path

from benchmarks.measurement import Measurement, interleaved_seconds, run_python
from lib.kit.assets import Archive, function_archive, layer_archive
from payments.runtime.settings import SETTINGS

RUNS = 15
MOST = 1.10
MOST_SAMPLED = 1.50
FRAMES_A_RUN = 10

STRIPE = "payment-processor with Stripe"

# What makes each function ready to answer, and the clients that this creates.
FUNCTIONS = {
    "api-handler": (("payment_intake", "batch_store"), ("dynamodb", "sqs")),
    "batch-processor": (
        ("batch_processing", "batch_workflow"),
        ("s3", "sqs", "dynamodb", "stepfunctions"),
    ),
    "event-publisher": (("announcing",), ("sns", "sqs")),
    "payment-processor": (("deliveries",), ("dynamodb", "stepfunctions", "sqs")),
    STRIPE: (("deliveries",), ("dynamodb", "stepfunctions", "sqs", "secretsmanager")),
}
_SETTINGS_OF = {
    STRIPE: {
        "PAYMENT_PROCESSOR": "stripe",
        "PROCESSOR_KEY_ARN": "bench",
        "PROCESSOR_MODE": "test",
        "PROCESSOR_RATE": "25",
        "ENVIRONMENT_SUFFIX": "bench",
    }
}

_RUNTIME_DISTRIBUTIONS = (
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
)
_AWS_ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
}
_TRACE_HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"

_PROGRAM = """
import importlib
import os
import sys

sys.path[:0] = {path!r}

def load(depth):
    return load(depth - 1) if depth else importlib.import_module({module!r})

load(int(sys.argv[1]))
{ready}
os._exit(0)
"""

_BARE = """
import boto3
for service in {clients!r}:
    boto3.client(service)
"""

_OURS = """
from payments.runtime import {module} as runtime
from payments.runtime.clients import client
from payments.telemetry.traces import annotate, traced

@traced
def start(event, context):
    for service in {services!r}:
        getattr(runtime, service)()
    annotate("payment_id", "pay_1")
    return {{}}

start({{}}, None)
# The benchmark must not compare a function with clients that it does not create.
assert client.cache_info().currsize == {number_of_clients}
"""


@dataclass(frozen=True)
class _Lambda:
    """The folders of a function's execution environment."""

    code: Path
    layer: Path
    runtime: Path

    def start(self, program: str, **environment: str) -> Callable[[], None]:
        """Return what runs a program with this Python and only what is in the folders.

        Each run imports from a deeper stack. Python 3.12 keeps frames in pieces of 16 KiB, and a
        start takes up to a fifth longer when a busy function falls on the border between two.
        Which function that is depends on the depth, and Lambda's is not known: so the runs go
        through all of a piece.
        """
        depths = count(step=FRAMES_A_RUN)

        def run() -> None:
            depth = str(next(depths))
            options = ("-I", "-S", "-B", "-c", program, depth)
            run_python(*options, environment=_AWS_ENVIRONMENT | environment)

        return run


def measure() -> list[Measurement]:
    """Measure whole processes until the function is ready, in turns with bare boto3."""
    with _unpacked() as environment:
        return [
            _measure(environment, function, sampled=sampled)
            for function in FUNCTIONS
            for sampled in (False, True)
        ]


def _measure(environment: _Lambda, function: str, *, sampled: bool) -> Measurement:
    services, clients = FUNCTIONS[function]
    name = function.partition(" ")[0]
    module = name.replace("-", "_")
    ours = _PROGRAM.format(
        path=[str(environment.code), str(environment.layer), str(environment.runtime)],
        module=module,
        ready=_OURS.format(module=module, services=services, number_of_clients=len(clients)),
    )
    bare = _PROGRAM.format(
        path=[str(environment.runtime)], module="boto3", ready=_BARE.format(clients=clients)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.setblocking(False)
        host, port = daemon.getsockname()
        variables = dict.fromkeys(SETTINGS[name], "bench") | {
            "REVIEW_ABOVE": "",
            **_SETTINGS_OF.get(function, {}),
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "AWS_XRAY_DAEMON_ADDRESS": f"{host}:{port}",
            "_X_AMZN_TRACE_ID": _TRACE_HEADER.format(int(sampled)),
        }
        environment.start(ours, **variables)()
        environment.start(bare)()
        # The benchmark must not take a function that sends no trace for one that does.
        if sampled is not _has_received(daemon):
            raise RuntimeError(f"{function} sends a trace when it should not, or the reverse")
        seconds, bare_seconds = interleaved_seconds(
            environment.start(ours, **variables), environment.start(bare), runs=RUNS
        )
    return Measurement(
        what=f"start of {function}{', sampled by X-Ray' if sampled else ''}",
        unit="ms",
        value=seconds * 1000,
        beside=f"bare boto3 with clients for {', '.join(clients)}",
        beside_value=bare_seconds * 1000,
        at_most=MOST_SAMPLED if sampled else MOST,
    )


def _has_received(daemon: socket.socket) -> bool:
    try:
        return bool(daemon.recv(65_536))
    except BlockingIOError:
        return False


@contextmanager
def _unpacked() -> Iterator[_Lambda]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code, layer, runtime = folder / "task", folder / "opt", folder / "runtime"
        _unpack(function_archive(folder=folder), code)
        _unpack(layer_archive(folder=folder), layer)
        for installed in map(distribution, _RUNTIME_DISTRIBUTIONS):
            for file in installed.files or ():
                if file.parts[0] != ".." and file.suffix != ".pyc":
                    copy = runtime / file
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(file.read_binary())
        with contextlib.redirect_stdout(io.StringIO()):
            compileall.compile_dir(runtime, quiet=1)
        for path in (*code.rglob("*"), *layer.rglob("*"), *runtime.rglob("*")):
            path.chmod(path.stat().st_mode & 0o555)
        yield _Lambda(code=code, layer=layer / "python", runtime=runtime)


def _unpack(archive: Archive, folder: Path) -> None:
    with zipfile.ZipFile(archive.path) as opened:
        opened.extractall(folder)
