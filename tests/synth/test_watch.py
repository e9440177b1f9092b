"""The alarms of the contract, all to the topic, and the dashboard."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from lib.watch.log_queries import LOG_QUERIES
from operations.dashboard import FINGERPRINT, PICTURE, fingerprint
from payments.aws.payments import OPEN_INDEX
from payments.core.operation import STUCK_AFTER
from tests.synth.terraform import Stack

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK, OPERATE = DOCS / "runbook.md", DOCS / "operate.md"

pytestmark = pytest.mark.xdist_group("synth")

FUNCTIONS = ("api-handler", "batch-processor", "payment-processor", "event-publisher")

# name: namespace, metric, dimensions, statistic, threshold, period in seconds
ALARMS = {
    **{
        f"{function}-errors": (
            "AWS/Lambda",
            "Errors",
            {"FunctionName": function},
            "Sum",
            5,
            600,
        )
        for function in ("api-handler", "batch-processor")
    },
    "payment-events-dlq-messages": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": "payment-events-dlq"},
        "Maximum",
        1,
        60,
    ),
    "payment-events-age": (
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        {"QueueName": "payment-events"},
        "Maximum",
        900,
        60,
    ),
    "payment-rows-age": (
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        {"QueueName": "payment-rows"},
        "Maximum",
        2 * 24 * 3600,
        300,
    ),
    **{
        f"{function}-throttles": (
            "AWS/Lambda",
            "Throttles",
            {"FunctionName": function},
            "Sum",
            1,
            300,
        )
        for function in FUNCTIONS
    },
    "payment-api-latency": (
        "AWS/ApiGateway",
        "Latency",
        {"ApiName": "payment-api", "Stage": ""},
        "p99",
        3000,
        300,
    ),
    "payment-processor-failures-messages": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": "payment-processor-failures"},
        "Maximum",
        1,
        60,
    ),
    "payment-announcements-dlq-messages": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": "payment-announcements-dlq"},
        "Maximum",
        1,
        60,
    ),
    "event-publisher-age": (
        "AWS/Lambda",
        "IteratorAge",
        {"FunctionName": "event-publisher"},
        "Maximum",
        900_000,
        300,
    ),
    "payment-api-5xx": (
        "AWS/ApiGateway",
        "5XXError",
        {"ApiName": "payment-api", "Stage": ""},
        "Sum",
        10,
        600,
    ),
    **{
        f"{workflow}-{name}": (
            "AWS/States",
            metric,
            {"StateMachineArn": workflow},
            "Sum",
            1,
            60,
        )
        for workflow in ("payment-workflow", "payment-batch-workflow")
        for name, metric in (
            ("failures", "ExecutionsFailed"),
            ("timeouts", "ExecutionsTimedOut"),
        )
    },
}


POLLED = {
    "payment-processor": ("payment-events", "payment-rows"),
    "event-publisher": ("audit-stream",),
}
"""Functions that are invoked by queues or a stream, and the names of those."""

COUNTED = {
    "payments-stuck": ("StuckPayments", 600),
    "operations-stuck": ("StuckOperations", 1800),
    "releases-refused": ("RefusedReleases", 600),
    "reviews-late": ("LateReviews", 600),
}
"""Alarms on what the sweep counts, with the metric and the period of each."""

SUBSCRIPTION_ALARMS = ("payment-alarms-dlq-messages", "payment-updates-dlq-messages")


def resolved(stack: Stack, reference: str) -> str:
    """Return the literal name of the resource that a reference points to."""
    for resource in stack.resources:
        if reference.startswith(f"${{{resource.address}."):
            for attribute in ("function_name", "stage_name", "name"):
                if attribute in resource.attributes:
                    return str(resource[attribute])
    raise AssertionError(reference)


@pytest.mark.parametrize("base", ALARMS)
def test_an_alarm_watches_its_metric_with_its_threshold(stack: Stack, base: str) -> None:
    namespace, metric, dimensions, statistic, threshold, period = ALARMS[base]
    alarm = stack.one("aws_cloudwatch_metric_alarm", alarm_name=stack.name(base))
    assert (alarm["namespace"], alarm["metric_name"]) == (namespace, metric)
    percentile = statistic.startswith("p")
    assert alarm["extended_statistic" if percentile else "statistic"] == statistic
    assert (alarm["threshold"], alarm["period"]) == (threshold, period)
    assert alarm["evaluation_periods"] == 1
    assert alarm["comparison_operator"] == "GreaterThanOrEqualToThreshold"
    watched = {name: resolved(stack, value) for name, value in alarm["dimensions"].items()}
    assert watched == {
        name: stack.name(value) if value else stack.suffix for name, value in dimensions.items()
    }


@pytest.mark.parametrize("base", POLLED)
def test_failed_messages_and_records_count_as_errors_of_the_function(
    stack: Stack, base: str
) -> None:
    """The contract: 5 within 10 minutes, failed messages of the queue included."""
    alarm = stack.one("aws_cloudwatch_metric_alarm", alarm_name=stack.name(f"{base}-errors"))
    function = stack.function(base)
    total, *counted = alarm["metric_query"]
    assert (total["expression"], total["return_data"]) == ("SUM(METRICS())", True)
    assert (alarm["threshold"], alarm["evaluation_periods"]) == (5, 1)
    assert {(query["metric"]["stat"], query["metric"]["period"]) for query in counted} == {
        ("Sum", 600)
    }
    assert not any(query.get("return_data") for query in counted)
    assert [
        (
            query["metric"]["namespace"],
            query["metric"]["metric_name"],
            query["metric"]["dimensions"],
        )
        for query in counted
    ] == [
        ("AWS/Lambda", "Errors", {"FunctionName": f"${{{function.address}.function_name}}"}),
        *(
            (
                "AWS/Lambda",
                "FailedInvokeEventCount",
                {"EventSourceMappingUUID": f"${{{mapping.address}.uuid}}"},
            )
            for source in POLLED[base]
            for mapping in stack.all("aws_lambda_event_source_mapping")
            if mapping["//"]["metadata"]["path"].endswith(f"/{source}")
        ),
    ]
    assert len(counted) == 1 + len(POLLED[base])


def test_mappings_emit_the_metric_that_counts_failed_events(stack: Stack) -> None:
    for mapping in stack.all("aws_lambda_event_source_mapping"):
        assert mapping["metrics_config"] == {"metrics": ["EventCount"]}


def test_one_slow_request_in_a_quiet_night_wakes_nobody(stack: Stack) -> None:
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        is_percentile = "extended_statistic" in alarm.attributes
        assert alarm.attributes.get("evaluate_low_sample_count_percentiles") == (
            "ignore" if is_percentile else None
        )


def test_rows_of_a_large_file_may_wait_long_before_sqs_drops_them(stack: Stack) -> None:
    """And the dashboard shows how long they do."""
    patience = {
        resolved(stack, alarm["dimensions"]["QueueName"]): alarm["threshold"]
        for alarm in stack.all("aws_cloudwatch_metric_alarm")
        if alarm.attributes.get("metric_name") == "ApproximateAgeOfOldestMessage"
    }
    rows = stack.name("payment-rows")
    assert patience == {stack.name("payment-events"): 900, rows: 172_800}
    assert patience[rows] < stack.one("aws_sqs_queue", name=rows)["message_retention_seconds"]
    widgets = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    shown = {
        resolved(stack, line[3])
        for widget in widgets
        for line in widget["properties"].get("metrics", [])
        if "ApproximateAgeOfOldestMessage" in line
    }
    assert shown == {stack.name("payment-events"), stack.name("payment-rows")}


def test_there_is_no_alarm_that_is_not_listed_here(stack: Stack) -> None:
    alarms = {alarm["alarm_name"] for alarm in stack.all("aws_cloudwatch_metric_alarm")}
    of_subscriptions = SUBSCRIPTION_ALARMS if stack.protected else ()
    of_polled = (f"{function}-errors" for function in POLLED)
    assert alarms == {
        stack.name(base) for base in (*ALARMS, *of_polled, *COUNTED, *of_subscriptions)
    }


@pytest.mark.parametrize("base", SUBSCRIPTION_ALARMS)
def test_an_alarm_watches_what_a_subscriber_did_not_take(prod: Stack, base: str) -> None:
    alarm = prod.one("aws_cloudwatch_metric_alarm", alarm_name=prod.name(base))
    queue = prod.one("aws_sqs_queue", name=prod.name(base.removesuffix("-messages")))
    assert alarm["metric_name"] == "ApproximateNumberOfMessagesVisible"
    assert alarm["dimensions"] == {"QueueName": f"${{{queue.address}.name}}"}
    assert (alarm["threshold"], alarm["period"]) == (1, 60)


@pytest.mark.parametrize(("base", "counted"), COUNTED.items())
def test_an_alarm_hangs_on_what_the_sweep_counts(
    stack: Stack, base: str, counted: tuple[str, int]
) -> None:
    name, period = counted
    alarm = stack.one("aws_cloudwatch_metric_alarm", alarm_name=stack.name(base))
    variables = stack.function("payment-processor")["environment"]["variables"]
    assert alarm["namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
    assert alarm["dimensions"] == {"service": variables["POWERTOOLS_SERVICE_NAME"]}
    assert (alarm["metric_name"], alarm["statistic"]) == (name, "Maximum")
    assert (alarm["threshold"], alarm["period"]) == (1, period)
    # The period covers the time between two looks at one operation.
    assert base != "operations-stuck" or period > STUCK_AFTER.total_seconds()


def test_the_sweep_is_scheduled_without_a_key_of_ours(stack: Stack) -> None:
    """Scheduler would decrypt the payload with the schedule's role, in a direct call."""
    schedule = stack.one("aws_scheduler_schedule", name=stack.name("payment-sweep"))
    alias = stack.alias("payment-processor")
    target = schedule["target"]
    assert schedule["schedule_expression"] == "rate(5 minutes)"
    assert "kms_key_arn" not in schedule.attributes
    assert target["arn"] == f"${{{alias.address}.arn}}"
    assert json.loads(target["input"]) == {"action": "sweep"}


def test_the_alarm_covers_two_sweeps(stack: Stack) -> None:
    schedule = stack.one("aws_scheduler_schedule", name=stack.name("payment-sweep"))
    alarm = stack.one("aws_cloudwatch_metric_alarm", alarm_name=stack.name("payments-stuck"))
    minutes = int(re.findall(r"\d+", schedule["schedule_expression"])[0])
    assert alarm["period"] == 2 * minutes * 60


def test_the_sweep_reads_the_index_that_there_is(stack: Stack) -> None:
    table = stack.one("aws_dynamodb_table", name=stack.name("payments"))
    index, *_ = table["global_secondary_index"]
    assert (index["name"], index["hash_key"], index["range_key"]) == (
        OPEN_INDEX,
        "open_shard",
        "accepted_at",
    )


def test_every_function_has_its_error_alarm(stack: Stack) -> None:
    metrics = [
        metric
        for alarm in stack.all("aws_cloudwatch_metric_alarm")
        for metric in (
            alarm.attributes,
            *(query.get("metric", {}) for query in alarm.attributes.get("metric_query", [])),
        )
    ]
    watched = {
        metric["dimensions"]["FunctionName"]
        for metric in metrics
        if (metric.get("namespace"), metric.get("metric_name")) == ("AWS/Lambda", "Errors")
    }
    assert watched == {
        f"${{{function.address}.function_name}}" for function in stack.all("aws_lambda_function")
    }


def test_alarms_tell_the_topic_when_they_fire_and_when_it_is_over(stack: Stack) -> None:
    topic = f"${{{stack.one('aws_sns_topic').address}.arn}}"
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [topic]


def test_silence_is_an_alarm_where_something_must_be_told_and_no_alarm_elsewhere(
    stack: Stack,
) -> None:
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        watches_the_watch = alarm["alarm_name"] == stack.name("payments-stuck")
        missing = "breaching" if watches_the_watch else "notBreaching"
        assert alarm["treat_missing_data"] == missing


def test_an_alarm_says_what_it_means_and_what_to_do_first(stack: Stack) -> None:
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        meaning, _, action = alarm["alarm_description"].partition(" First: ")
        assert meaning
        assert action
        assert len(alarm["alarm_description"]) <= 1024


def test_an_alarm_leads_to_its_section_of_the_runbook(stack: Stack) -> None:
    sections = set(re.findall(r'<a id="([a-z0-9-]+)"></a>', RUNBOOK.read_text()))
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        base = alarm["alarm_name"].removesuffix(f"-{stack.suffix}")
        assert alarm["alarm_description"].endswith(f" Runbook: docs/runbook.md#{base}")
        assert base in sections


def test_every_alarm_has_its_row_among_those_that_operators_know(stack: Stack) -> None:
    rows = set(re.findall(r"`([a-z0-9{}-]+)-\{suffix\}`", OPERATE.read_text()))
    told = rows | {row.replace("{function}", name) for row in rows for name in FUNCTIONS}
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        assert alarm["alarm_name"].removesuffix(f"-{stack.suffix}") in told


def test_the_runbook_has_the_queries_of_the_dashboard() -> None:
    text = RUNBOOK.read_text()
    for query in LOG_QUERIES:
        assert (
            f"**{query.title}** ({', '.join(query.functions)})\n\n```\n{query.query}\n```" in text
        )


def test_links_within_the_runbook_lead_somewhere() -> None:
    text = RUNBOOK.read_text()
    sections = set(re.findall(r'<a id="([a-z0-9-]+)"></a>', text))
    assert set(re.findall(r"\]\(#([a-z0-9-]+)\)", text)) <= sections


def test_the_dashboard_shows_every_alarm_and_the_path_of_a_payment(stack: Stack) -> None:
    widgets = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    (shown,) = (w["properties"]["alarms"] for w in widgets if w["type"] == "alarm")
    assert set(shown) == {
        f"${{{alarm.address}.arn}}" for alarm in stack.all("aws_cloudwatch_metric_alarm")
    }
    namespaces = {
        line[0]
        for w in widgets
        if w["type"] == "metric"
        for line in w["properties"]["metrics"]
        if isinstance(line[0], str)
    }
    own = stack.name("payments")
    assert namespaces == {"AWS/ApiGateway", "AWS/SQS", "AWS/Lambda", "AWS/States", own}


@pytest.mark.parametrize("what", ["Payments", "Amount"])
@pytest.mark.parametrize("status", ["Accepted", "Completed", "Failed"])
def test_the_dashboard_shows_the_business_by_currency_on_top(
    stack: Stack, what: str, status: str
) -> None:
    widgets = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    (graph,) = (w for w in widgets if f'MetricName="{what}{status}"' in str(w))
    assert graph["y"] < 12
    ((line,),) = graph["properties"]["metrics"]
    assert f'{{"{stack.name("payments")}",currency,service}}' in line["expression"]
    assert 'service="payments"' in line["expression"]


def test_the_dashboard_asks_the_logs_the_usual_questions(stack: Stack) -> None:
    widgets = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    asked = {
        w["properties"]["title"]: w["properties"]["query"] for w in widgets if w["type"] == "log"
    }
    groups = {group["name"] for group in stack.all("aws_cloudwatch_log_group")}
    assert set(asked) == {query.title for query in LOG_QUERIES}
    for query in LOG_QUERIES:
        assert asked[query.title].endswith(query.query)
        assert set(re.findall(r"SOURCE '([^']+)'", asked[query.title])) <= groups


@pytest.mark.parametrize("workflow", ["payment-workflow", "payment-batch-workflow"])
def test_the_dashboard_shows_the_outcomes_of_each_workflow(stack: Stack, workflow: str) -> None:
    machine = f"${{{stack.workflow(workflow).address}.arn}}"
    widgets = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    (graph,) = (w["properties"] for w in widgets if machine in str(w))
    assert {line[1] for line in graph["metrics"]} == {
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
    }


def test_the_picture_in_the_readme_shows_the_dashboard_of_today(dev: Stack) -> None:
    """`make dashboard` draws it anew."""
    body = json.loads(dev.one("aws_cloudwatch_dashboard")["dashboard_body"])
    with Image.open(PICTURE) as picture:
        assert picture.info[FINGERPRINT] == fingerprint(body)


def test_widgets_of_the_dashboard_do_not_overlap(stack: Stack) -> None:
    widgets = json.loads(stack.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    assert len({(w["x"], w["y"]) for w in widgets}) == len(widgets)
    assert all(w["x"] + w["width"] <= 24 for w in widgets)
