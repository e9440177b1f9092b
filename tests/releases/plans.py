"""Plans of this stack against the emulator: unchanged, and with one change each.

``python -m tests.releases.plans`` deploys to an emulator of its own and records them anew.
"""

import copy
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from local import emulator
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace

RECORDED: Final = Path(__file__).parent / "plans"
WORKSPACE: Final = Workspace(state=REPOSITORY / ".local/plans", suffix="test-plans")

# What the emulator does not give back as it was set, by resource and attribute, so that a second
# plan would set it again. Anything else in a second plan is ours.
EMULATOR_GAPS: Final = frozenset(
    {
        # DescribeAlarms leaves these out of its XML.
        ("aws_cloudwatch_metric_alarm", "actions_enabled"),
        ("aws_cloudwatch_metric_alarm", "alarm_actions"),
        ("aws_cloudwatch_metric_alarm", "alarm_description"),
        ("aws_cloudwatch_metric_alarm", "dimensions"),
        ("aws_cloudwatch_metric_alarm", "evaluate_low_sample_count_percentiles"),
        ("aws_cloudwatch_metric_alarm", "extended_statistic"),
        ("aws_cloudwatch_metric_alarm", "metric_query"),
        ("aws_cloudwatch_metric_alarm", "ok_actions"),
        ("aws_cloudwatch_metric_alarm", "period"),
        ("aws_cloudwatch_metric_alarm", "statistic"),
        ("aws_cloudwatch_metric_alarm", "treat_missing_data"),
        # GetEventSourceMapping leaves it out.
        ("aws_lambda_event_source_mapping", "metrics_config"),
        # GetStage gives an empty setting where there is none.
        ("aws_api_gateway_stage", "access_log_settings"),
        # DescribeStateMachine leaves it out.
        ("aws_sfn_state_machine", "tracing_configuration"),
    }
)

type Document = dict[str, Any]
"""A synthesised stack, as ``cdk.tf.json`` has it."""


def _named(document: Document, type_: str, word: str) -> dict[str, Any]:
    """Return the one resource of a type whose construct id has this word."""
    (found,) = (each for id_, each in document["resource"][type_].items() if word in id_)
    resource: dict[str, Any] = found
    return resource


def rename_table(document: Document) -> None:
    """Give the table of payments another name, which replaces it."""
    _named(document, "aws_dynamodb_table", "storage_payments_")["name"] = "orders-test-plans"


def widen_role(document: Document) -> None:
    """Allow the API to delete payments."""
    role = _named(document, "aws_iam_role_policy", "compute_api-handler_")
    policy = json.loads(role["policy"])
    statement = next(
        each for each in policy["Statement"] if "dynamodb:PutItem" in each.get("Action", ())
    )
    statement["Action"].append("dynamodb:DeleteItem")
    role["policy"] = json.dumps(policy, separators=(",", ":"), sort_keys=True)


def remove_alarm(document: Document) -> None:
    """Take away the alarm of the dead-letter queue, and its place on the dashboard."""
    alarms = document["resource"]["aws_cloudwatch_metric_alarm"]
    (name,) = (each for each in alarms if "payment-events-dlq-messages" in each)
    del alarms[name]
    for dashboard in document["resource"]["aws_cloudwatch_dashboard"].values():
        dashboard["dashboard_body"] = '{"widgets":[]}'


def leave(_document: Document) -> None:
    """Change nothing."""


CHANGES: Final[Mapping[str, Callable[[Document], None]]] = MappingProxyType(
    {
        "unchanged": leave,
        "renamed-table": rename_table,
        "widened-role": widen_role,
        "removed-alarm": remove_alarm,
    }
)


@contextmanager
def changed(deployment: Deployment, change: Callable[[Document], None]) -> Iterator[None]:
    """Change the synthesised stack of a deployment, and change it back in the end."""
    folder = deployment.stack_directory
    assert folder is not None, "nothing is synthesised"
    file = folder / "cdk.tf.json"
    before = file.read_text()
    document = json.loads(before)
    change(document)
    file.write_text(json.dumps(document, indent=2))
    try:
        yield
    finally:
        file.write_text(before)


def plan(deployment: Deployment, name: str) -> dict[str, Any]:
    """Return the plan, as Terraform's JSON, of one of the ``CHANGES`` to what is deployed."""
    with changed(deployment, CHANGES[name]):
        return deployment.plan()


def settled(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan without what is in it for the emulator's gaps only."""
    resources = copy.deepcopy(plan["resource_changes"])
    for resource in resources:
        change = resource["change"]
        if change["actions"] != ["update"]:
            continue
        for type_, attribute in EMULATOR_GAPS:
            if type_ == resource["type"] and attribute in change["after"]:
                change["before"][attribute] = change["after"][attribute]
        if change["before"] == change["after"] and not any(change["after_unknown"].values()):
            change["actions"] = ["no-op"]
    return {**plan, "resource_changes": resources}


def trimmed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the gate reads of a plan: of resources that stay as they are, only that."""
    return {
        "format_version": plan["format_version"],
        "terraform_version": plan["terraform_version"],
        "resource_changes": [
            resource
            if resource["change"]["actions"] != ["no-op"]
            else {
                **{name: resource[name] for name in ("address", "mode", "type", "name")},
                "change": {"actions": ["no-op"]},
            }
            for resource in plan["resource_changes"]
        ],
    }


def main() -> int:
    """Deploy, plan each change, and write the plans."""
    RECORDED.mkdir(exist_ok=True)
    with emulator.exclusive(WORKSPACE):
        emulator.stop(WORKSPACE)
        started = emulator.start(WORKSPACE, port=emulator.free_port())
        try:
            deployment = Deployment(WORKSPACE, started)
            deployment.deploy()
            for name in CHANGES:
                recorded = trimmed(settled(plan(deployment, name)))
                (RECORDED / f"{name}.json").write_text(json.dumps(recorded, indent=1) + "\n")
                sys.stdout.write(f"{name}: {len(recorded['resource_changes'])} resources\n")
        finally:
            emulator.stop(WORKSPACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
