"""The deployment itself: it settles, and it leaves nothing behind."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import PROTECTED
from tests.e2e.environment import Environment
from tests.releases import plans


def test_a_second_plan_changes_nothing(environment: Environment) -> None:
    plan: dict[str, Any] = environment.deployment.plan()
    changed = {
        (change["type"], name)
        for change in plan["resource_changes"]
        if change["change"]["actions"] not in (["no-op"], ["read"])
        for name, value in change["change"]["after"].items()
        if value != change["change"]["before"].get(name)
    }
    assert changed - plans.EMULATOR_GAPS == set()


@pytest.mark.last
def test_destroy_leaves_nothing_behind(environment: Environment) -> None:
    environment.deployment.destroy()
    clients = environment.clients
    iam, gateway = environment.client("iam"), environment.client("apigateway")
    left = {
        "APIs": gateway.get_rest_apis()["items"],
        "alarms": clients.cloudwatch.describe_alarms()["MetricAlarms"],
        "buckets": [
            bucket["Name"]
            for bucket in clients.s3.list_buckets()["Buckets"]
            if not bucket["Name"].startswith("terraform-state-")
        ],
        "dashboards": clients.cloudwatch.list_dashboards()["DashboardEntries"],
        "event source mappings": clients.functions.list_event_source_mappings()[
            "EventSourceMappings"
        ],
        "functions": clients.functions.list_functions()["Functions"],
        "key aliases": [
            alias["AliasName"]
            for alias in clients.kms.list_aliases()["Aliases"]
            if not alias["AliasName"].startswith("alias/aws/")
        ],
        "layers": clients.functions.list_layers()["Layers"],
        "log groups": clients.logs.describe_log_groups()["logGroups"],
        "queues": clients.sqs.list_queues(QueueNamePrefix="payment-").get("QueueUrls", []),
        "schedules": environment.client("scheduler").list_schedules()["Schedules"],
        "subscriptions": clients.sns.list_subscriptions()["Subscriptions"],
        "roles": iam.list_roles()["Roles"],
        "state machines": clients.stepfunctions.list_state_machines()["stateMachines"],
        "tables": clients.dynamodb.list_tables()["TableNames"],
        "topics": clients.sns.list_topics()["Topics"],
    }
    # The protected environment lives beside it, and is none of its business.
    ours = {
        kind: [
            item for item in found if f"-{PROTECTED.suffix}" not in json.dumps(item, default=str)
        ]
        for kind, found in left.items()
    }
    assert {kind: found for kind, found in ours.items() if found} == {}
