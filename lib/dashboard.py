"""The body of the dashboard."""

from collections.abc import Sequence
from typing import Any, Final

from lib.config import StackConfig
from lib.watched import Watched

WIDGET_WIDTH: Final = 8
WIDGET_HEIGHT: Final = 6
ROW_WIDTH: Final = 24
PERIOD_SECONDS: Final = 60

type MetricLine = list[str | dict[str, str]]


def dashboard_body(
    *,
    config: StackConfig,
    watched: Watched,
    alarm_arns: Sequence[str],
) -> dict[str, Any]:
    """Return traffic, errors, latency, queues and workflow outcomes, under the alarms."""
    api, messaging, compute = watched.api, watched.messaging, watched.compute
    on_api = ["ApiName", api.rest_api.name, "Stage", api.stage.stage_name]
    on_events = ["QueueName", messaging.events_queue.name]
    on_dead_letters = ["QueueName", messaging.dead_letter_queue.name]
    functions = [function.resource.function_name for function in compute.functions]
    graphs = [
        _graph(
            config,
            "API requests and errors",
            [
                _line("AWS/ApiGateway", "Count", on_api),
                _line("AWS/ApiGateway", "4XXError", on_api),
                _line("AWS/ApiGateway", "5XXError", on_api),
            ],
        ),
        _graph(
            config,
            "API latency",
            [
                _line("AWS/ApiGateway", "Latency", on_api, statistic="p50"),
                _line("AWS/ApiGateway", "Latency", on_api, statistic="p99"),
            ],
        ),
        *(
            _graph(
                config,
                title,
                [
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
        ),
        _graph(
            config,
            "Function errors and throttles",
            [
                _line("AWS/Lambda", name, ["FunctionName", function])
                for name in ("Errors", "Throttles")
                for function in functions
            ],
        ),
        _graph(
            config,
            "Function duration",
            [
                _line("AWS/Lambda", "Duration", ["FunctionName", function], statistic="p99")
                for function in functions
            ],
        ),
        _graph(
            config,
            "Events waiting, and dead letters",
            [
                _line("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, statistic="Maximum")
                for queue in (on_events, on_dead_letters)
            ],
        ),
        _graph(
            config,
            "Age of the oldest event (s)",
            [_line("AWS/SQS", "ApproximateAgeOfOldestMessage", on_events, statistic="Maximum")],
        ),
    ]
    alarms = {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(alarm_arns)}}
    return {"widgets": _laid_out([alarms, *graphs])}


def _line(
    namespace: str, name: str, dimensions: Sequence[str], *, statistic: str = "Sum"
) -> MetricLine:
    return [namespace, name, *dimensions, {"stat": statistic}]


def _graph(config: StackConfig, title: str, metrics: Sequence[MetricLine]) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "metrics": list(metrics),
            "period": PERIOD_SECONDS,
            "region": config.region,
            "view": "timeSeries",
        },
    }


def _laid_out(widgets: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the widgets into rows of three."""
    in_a_row = ROW_WIDTH // WIDGET_WIDTH
    return [
        {
            **widget,
            "x": index % in_a_row * WIDGET_WIDTH,
            "y": index // in_a_row * WIDGET_HEIGHT,
            "width": WIDGET_WIDTH,
            "height": WIDGET_HEIGHT,
        }
        for index, widget in enumerate(widgets)
    ]
