"""CloudWatch can read every expression of the dashboard and of alarms."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.synth.expressions import NotAnExpressionError, Search, kind_of, parse_search
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

# Of AWS's own pages, with a namespace that is ours.
SEARCHES = {
    "SEARCH('{AWS/EC2,InstanceId} MetricName=\"CPUUtilization\"', 'Average')": "AWS/EC2",
    "SEARCH('{AWS/Lambda, FunctionName} Errors', 'Sum', 300)": "AWS/Lambda",
    "SEARCH('{\"Custom Namespace\",\"Dimension Name With Spaces\"} (A OR B) NOT C', 'p99')": (
        "Custom Namespace"
    ),
    "SEARCH('{\"payments-prod\",currency,service} service=\"payments\"', 'Sum')": "payments-prod",
}


@pytest.mark.parametrize("search", SEARCHES)
def test_a_documented_search_is_read(search: str) -> None:
    assert parse_search(search).namespace == SEARCHES[search]


@pytest.mark.parametrize(
    ("search", "fault"),
    [
        ("SEARCH('{payments-prod,currency} Errors', 'Sum')", "'payments-prod' must stand in"),
        ("SEARCH('{Payments,the currency} Errors', 'Sum')", "'the currency' must stand in"),
        ("SEARCH('{Payments,currency} Errors', 'Total')", "'Total' is no statistic"),
        ("SEARCH({Payments,currency} Errors, 'Sum')", "not SEARCH"),
        ("SEARCH('Errors', 'Sum')", "no metric schema"),
        ("SEARCH('{Payments,currency} service=\"x\"', 'Sum')", "the schema has no service"),
        ("SEARCH('{Payments,currency} (Errors', 'Sum')", "brackets do not match"),
        ("SEARCH('{Payments,currency} MetricName=\"Errors', 'Sum')", "not a search term"),
    ],
)
def test_a_search_that_cloudwatch_would_not_read_is_refused(search: str, fault: str) -> None:
    with pytest.raises(NotAnExpressionError, match=fault):
        parse_search(search)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("SUM(METRICS())", "TS"),
        ("SUM([m1, m2])", "TS"),
        ("100 * m1 / (m1 + FILL(m2, 0))", "TS"),
        ("RUNNING_SUM(FILL(m1, 0) - FILL(m2, 0))", "TS"),
        ("METRICS() / SUM(m1)", "TS[]"),
        ("-m1 ^ 2", "TS"),
        ("1 + 1", "S"),
    ],
)
def test_metric_math_is_read_with_what_it_gives(expression: str, kind: str) -> None:
    assert kind_of(expression, ["m1", "m2"]) == kind


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("m1 + m3", "no metric has the id 'm3'"),
        ("SUM(METRICS()", "'the end' where"),
        ("TOTAL(METRICS())", "TOTAL takes no TS"),
        ("SUM()", "SUM takes no nothing"),
        ("METRICS() + METRICS()", "two lists of series"),
        ("m1 m2", "'m2' where"),
        ("m1 & m2", "not metric math from ' & m2' on"),
    ],
)
def test_metric_math_that_cloudwatch_would_not_read_is_refused(expression: str, fault: str) -> None:
    with pytest.raises(NotAnExpressionError, match=fault):
        kind_of(expression, ["m1", "m2"])


def graphs(stack: Stack) -> Iterator[list[list[Any]]]:
    # Terraform writes "$${" for "${".
    body = stack.one("aws_cloudwatch_dashboard")["dashboard_body"]
    for widget in json.loads(body)["widgets"]:
        if widget["type"] == "metric":
            yield widget["properties"]["metrics"]


def test_every_expression_of_the_dashboard_can_be_read(stack: Stack) -> None:
    read = 0
    for lines in graphs(stack):
        ids = [line[-1]["id"] for line in lines if "id" in line[-1]]
        assert len(ids) == len(set(ids))
        for (line,) in (line for line in lines if len(line) == 1):
            assert kind_of(line["expression"], ids) in {"TS", "TS[]"}
            read += 1
    assert read == 17


def test_searches_of_the_dashboard_look_where_the_functions_count(stack: Stack) -> None:
    searches = [
        parse_search(line[0]["expression"])
        for lines in graphs(stack)
        for line in lines
        if "SEARCH" in str(line[0])
    ]
    namespaces = {
        function["environment"]["variables"]["POWERTOOLS_METRICS_NAMESPACE"]
        for function in stack.all("aws_lambda_function")
    }
    assert namespaces == {stack.name("payments")}
    assert searches == [
        Search(
            namespace=stack.name("payments"),
            dimensions=("currency", "service"),
            terms={"MetricName": name, "service": "payments"},
            statistic="Sum",
        )
        for name in (
            *(f"Payments{status}" for status in ("Accepted", "Completed", "Failed")),
            *(f"Amount{status}" for status in ("Accepted", "Completed", "Failed")),
            *(f"Refunds{step}" for step in ("Requested", "Completed", "Failed")),
            *(f"Captures{step}" for step in ("Requested", "Completed", "Failed")),
            *(f"Cancels{step}" for step in ("Requested", "Completed", "Failed")),
            "RefundsCompletedAmount",
        )
    ]


def test_every_expression_of_an_alarm_gives_one_series_that_it_can_watch(stack: Stack) -> None:
    alarms = [
        alarm
        for alarm in stack.all("aws_cloudwatch_metric_alarm")
        if alarm.attributes.get("metric_query")
    ]
    assert {alarm["alarm_name"] for alarm in alarms} == {
        stack.name("payment-processor-errors"),
        stack.name("event-publisher-errors"),
    }
    for alarm in alarms:
        queries = alarm["metric_query"]
        ids = [query["id"] for query in queries if "metric" in query]
        (watched,) = (query for query in queries if query.get("return_data"))
        assert len({query["id"] for query in queries}) == len(queries)
        assert kind_of(watched["expression"], ids) == "TS"
        assert "SEARCH" not in watched["expression"]
