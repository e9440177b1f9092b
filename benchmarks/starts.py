"""The start of each function, beside a bare Python that creates the same boto3 clients."""

from benchmarks.measurement import REPOSITORY, Measurement, interleaved_seconds, run_python

RUNS = 11

# What makes each function ready to answer, and the clients that this creates.
FUNCTIONS = {
    "api-handler": (("payment_intake", "batch_store"), ("dynamodb", "sqs")),
    "batch-processor": (
        ("batch_processing", "batch_workflow"),
        ("s3", "sqs", "dynamodb", "stepfunctions"),
    ),
    "payment-processor": (
        ("payment_dispatch", "payment_queue", "payment_processing"),
        ("dynamodb", "stepfunctions", "sqs"),
    ),
}

_ENVIRONMENT = {
    "PYTHONPATH": str(REPOSITORY / "lambda"),
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "bench",
    "PAYMENTS_TABLE": "payments",
    "PROCESSING_STATUS_TABLE": "processing-status",
    "AUDIT_LOGS_TABLE": "audit-logs",
    "PAYMENT_EVENTS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/payment-events",
    "BATCH_RESULTS_BUCKET": "batch-results",
    "BATCH_WORKFLOW_ARN": "arn:aws:states:us-east-1:1:stateMachine:batch",
    "PAYMENT_WORKFLOW_ARN": "arn:aws:states:us-east-1:1:stateMachine:payment",
}


def measure() -> list[Measurement]:
    """Measure whole processes, import and clients, whose bytecode is cached on both sides."""
    return [_measure(function) for function in FUNCTIONS]


def _measure(function: str) -> Measurement:
    services, clients = FUNCTIONS[function]
    module = function.replace("-", "_")
    ready = "; ".join(f"runtime.{service}()" for service in services)
    # The benchmark must not compare a function with clients that it does not create.
    created = f"assert client.cache_info().currsize == {len(clients)}"
    ours = f"import {module}; from payments.runtime import {module} as runtime; from payments.runtime.clients import client; {ready}; {created}"
    bare = "import boto3; " + "; ".join(f"boto3.client({client!r})" for client in clients)

    def run(code: str) -> None:
        run_python("-c", code, environment=_ENVIRONMENT)

    run(ours)
    run(bare)
    seconds, bare_seconds = interleaved_seconds(lambda: run(ours), lambda: run(bare), runs=RUNS)
    return Measurement(
        what=f"start of {function}, clients ready",
        unit="ms",
        value=seconds * 1000,
        beside=f"bare Python with boto3 clients for {', '.join(clients)}",
        beside_value=bare_seconds * 1000,
        at_most=1.25,
    )
