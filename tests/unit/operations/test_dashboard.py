"""The picture of the dashboard reads the expressions that the dashboard has."""

from datetime import UTC, datetime, timedelta
from typing import Any

from operations.dashboard import Run, _series_of, fingerprint

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(**values: dict[str, float]) -> Run:
    points = {
        ("payments-dev", name): {label: [(START, value)] for label, value in of_labels.items()}
        for name, of_labels in values.items()
    }
    return Run("dev", START, START + timedelta(seconds=5), points)


def search(namespace: str) -> dict[str, Any]:
    query = f'{{{namespace},currency,service}} MetricName="PaymentsAccepted" service="payments"'
    return {"expression": f"SEARCH('{query}', 'Sum')"}


def test_a_search_by_currency_is_one_line_for_each_currency() -> None:
    found = _series_of(
        [[search('"payments-dev"')]],
        run(PaymentsAccepted={"EUR": 3, "USD": 4}, PaymentsFailed={"EUR": 1}),
    )
    assert found == {"EUR": [3, 0], "USD": [4, 0]}


def test_a_difference_of_two_metrics_is_drawn_as_what_is_open() -> None:
    lines: list[list[Any]] = [
        [{"expression": "RUNNING_SUM(FILL(started, 0) - FILL(ended, 0))"}],
        ["payments-dev", "BatchesStarted", {"id": "started", "visible": False, "stat": "Sum"}],
        ["payments-dev", "BatchesEnded", {"id": "ended", "visible": False, "stat": "Sum"}],
    ]
    found = _series_of(lines, run(BatchesStarted={"all": 3}, BatchesEnded={"all": 1}))
    assert found == {"open": [2, 2]}


def test_the_picture_is_of_the_dashboard_of_any_environment() -> None:
    def body(namespace: str) -> dict[str, Any]:
        place = {"x": 0, "y": 0, "width": 8, "height": 6}
        properties = {"title": "Payments", "metrics": [[search(f'"{namespace}"')]]}
        return {"widgets": [{"type": "metric", "properties": properties, **place}]}

    assert fingerprint(body("payments-dev")) == fingerprint(body("payments-prod"))
