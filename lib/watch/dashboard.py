"""The body of the dashboard: the business on top, then what carries it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lib.config import Function, StackConfig
from lib.watch.log_queries import LOG_QUERIES, LogQuery, insights_text
from lib.watch.watched import Watched

WIDGET_WIDTH: Final = 8
LOG_WIDTH: Final = 12
WIDGET_HEIGHT: Final = 6
ROW_WIDTH: Final = 24
PERIOD_SECONDS: Final = 60

type MetricLine = list[str | dict[str, Any]]

ALL_FUNCTIONS: Final = "payments"
"""The service under which payments are counted, whichever function it was that wrote."""

# Terraform would take one "$" for the beginning of an expression of its own.
_CURRENCY: Final = "$${PROP('Dim.currency')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    title: str
    lines: Sequence[MetricLine]


def dashboard_body(
    *, config: StackConfig, watched: Watched, alarm_arns: Sequence[str]
) -> dict[str, Any]:
    """Return the business, the alarms, traffic, queues, workflows, functions and the logs."""
    alarms = {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(alarm_arns)}}
    graphs = [
        *_business(config),
        *_traffic(watched),
        *_queues(watched),
        *_workflows(watched),
        *_functions(watched),
    ]
    widgets = [*(_metric_widget(config, graph) for graph in graphs), alarms]
    logs = [_log_widget(config, query) for query in LOG_QUERIES]
    rows = -(-len(widgets) * WIDGET_WIDTH // ROW_WIDTH)
    return {
        "widgets": [
            *_laid_out(widgets, width=WIDGET_WIDTH),
            *_laid_out(logs, width=LOG_WIDTH, below=rows),
        ]
    }


def _business(config: StackConfig) -> list[_Graph]:
    namespace = config.metrics_namespace
    of_batches = ["service", Function.BATCH_PROCESSOR]
    return [
        *(
            _Graph(
                title=f"{title}, by currency",
                lines=[_by_currency(namespace, f"{what}{status}") for status in statuses],
            )
            for what, title, statuses in (
                ("Payments", "Payments accepted", ["Accepted"]),
                ("Payments", "Payments completed", ["Completed"]),
                ("Payments", "Payments failed", ["Failed"]),
                ("Amount", "Amount accepted (minor units)", ["Accepted"]),
                ("Amount", "Amount completed (minor units)", ["Completed"]),
                ("Amount", "Amount failed (minor units)", ["Failed"]),
            )
        ),
        *(
            _Graph(
                title=f"{title}, by currency",
                lines=[_by_currency(namespace, name) for name in names],
            )
            for title, names in (
                ("Refunds requested, completed, failed", _steps("Refunds")),
                (
                    "Captures and cancellations requested, completed, failed",
                    [*_steps("Captures"), *_steps("Cancels")],
                ),
                ("Amount refunded (minor units)", ["RefundsCompletedAmount"]),
            )
        ),
        _Graph(
            title="Batches in flight (started in the time shown)",
            lines=[
                [{"expression": "RUNNING_SUM(FILL(started, 0) - FILL(ended, 0))", "label": "open"}],
                _line(namespace, "BatchesStarted", of_batches, id="started", visible=False),
                _line(namespace, "BatchesEnded", of_batches, id="ended", visible=False),
            ],
        ),
        _Graph(
            title="Rows of batches",
            lines=[_line(namespace, name, of_batches) for name in ("RowsAccepted", "RowsRejected")],
        ),
        _Graph(
            title="Payments and operations stuck, releases refused",
            lines=[
                _line(namespace, name, ["service", Function.PAYMENT_PROCESSOR], statistic="Maximum")
                for name in ("StuckPayments", "StuckOperations", "RefusedReleases")
            ],
        ),
    ]


def _steps(what: str) -> list[str]:
    """Return the metrics of operations of a kind."""
    return [f"{what}{step}" for step in ("Requested", "Completed", "Failed")]


def _by_currency(namespace: str, name: str) -> MetricLine:
    """Find the currencies that there are, since they are not known beforehand.

    A name with a hyphen stands in double quotes:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
    """
    schema = f'{{"{namespace}",currency,service}}'
    search = f"SEARCH('{schema} MetricName=\"{name}\" service=\"{ALL_FUNCTIONS}\"', 'Sum')"
    return [{"expression": search, "label": _CURRENCY}]


def _traffic(watched: Watched) -> list[_Graph]:
    on_api = ["ApiName", watched.api.rest_api.name, "Stage", watched.api.stage.stage_name]
    return [
        _Graph(
            title="API requests and errors",
            lines=[
                _line("AWS/ApiGateway", name, on_api) for name in ("Count", "4XXError", "5XXError")
            ],
        ),
        _Graph(
            title="API latency (ms)",
            lines=[
                _line("AWS/ApiGateway", "Latency", on_api, statistic=statistic)
                for statistic in ("p50", "p99")
            ],
        ),
    ]


def _queues(watched: Watched) -> list[_Graph]:
    messaging = watched.messaging
    dead_letters = [
        messaging.dead_letter_queue,
        messaging.failures_queue,
        messaging.announcements_dead_letter_queue,
        *watched.subscriptions.dead_letter_queues,
    ]
    waiting = [
        ["QueueName", queue.name] for queue in (messaging.events_queue, messaging.rows_queue)
    ]
    depth = "ApproximateNumberOfMessagesVisible"
    return [
        _Graph(
            title="Payments waiting",
            lines=[_line("AWS/SQS", depth, queue, statistic="Maximum") for queue in waiting],
        ),
        _Graph(
            title="Age of the oldest waiting payment (s)",
            lines=[
                _line("AWS/SQS", "ApproximateAgeOfOldestMessage", queue, statistic="Maximum")
                for queue in waiting
            ],
        ),
        _Graph(
            title="Dead letters",
            lines=[
                _line("AWS/SQS", depth, ["QueueName", queue.name], statistic="Maximum")
                for queue in dead_letters
            ],
        ),
    ]


def _workflows(watched: Watched) -> list[_Graph]:
    return [
        _Graph(
            title=title,
            lines=[
                _line("AWS/States", name, ["StateMachineArn", state_machine.arn])
                for name in (
                    "ExecutionsStarted",
                    "ExecutionsSucceeded",
                    "ExecutionsFailed",
                    "ExecutionsTimedOut",
                )
            ],
        )
        for title, state_machine in (
            ("Payment workflow outcomes", watched.workflow.state_machine),
            ("Batch workflow outcomes", watched.batch_workflow.state_machine),
        )
    ]


def _functions(watched: Watched) -> list[_Graph]:
    functions = [function.name for function in watched.compute.functions]
    mappings = [
        mapping for function in watched.compute.functions for mapping in function.event_sources
    ]
    graphs = [
        _Graph(
            title=title,
            lines=[
                _line("AWS/Lambda", name, ["FunctionName", function], statistic=statistic)
                for function in functions
            ],
        )
        for title, name, statistic in (
            ("Function invocations", "Invocations", "Sum"),
            ("Function errors", "Errors", "Sum"),
            ("Function throttles", "Throttles", "Sum"),
            ("Function duration, p99 (ms)", "Duration", "p99"),
        )
    ]
    failed = _Graph(
        title="Failed messages and records",
        lines=[
            _line(
                "AWS/Lambda",
                "FailedInvokeEventCount",
                ["EventSourceMappingUUID", mapping.uuid],
                label=mapping.node.id,
            )
            for mapping in mappings
        ],
    )
    return [*graphs, failed]


def _line(
    namespace: str, name: str, dimensions: Sequence[str], *, statistic: str = "Sum", **options: Any
) -> MetricLine:
    return [namespace, name, *dimensions, {"stat": statistic, **options}]


def _metric_widget(config: StackConfig, graph: _Graph) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {
            "title": graph.title,
            "metrics": list(graph.lines),
            "period": PERIOD_SECONDS,
            "region": config.region,
            "view": "timeSeries",
        },
    }


def _log_widget(config: StackConfig, query: LogQuery) -> dict[str, Any]:
    log_groups = [config.function_log_group(function) for function in query.functions]
    return {
        "type": "log",
        "properties": {
            "title": query.title,
            "query": insights_text(query, log_groups),
            "region": config.region,
            "view": "table",
        },
    }


def _laid_out(
    widgets: Sequence[dict[str, Any]], *, width: int, below: int = 0
) -> list[dict[str, Any]]:
    """Put widgets of one width into rows, below so many other rows."""
    in_a_row = ROW_WIDTH // width
    return [
        {
            **widget,
            "x": index % in_a_row * width,
            "y": (below + index // in_a_row) * WIDGET_HEIGHT,
            "width": width,
            "height": WIDGET_HEIGHT,
        }
        for index, widget in enumerate(widgets)
    ]
