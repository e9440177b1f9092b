"""One way to make an alarm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from constructs import Construct

from lib.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One CloudWatch metric of one resource."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: Literal["Sum", "Maximum", "p99"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Fires when ``metric`` reaches ``threshold`` within ``period_seconds``."""

    name: str
    description: str
    metric: Metric = field(repr=False)
    threshold: int
    period_seconds: int
    silence_fires: bool = False
    """Whether it fires when nothing is measured, because that is a sign that nobody measures."""


def add_alarm(
    scope: Construct, alarm: Alarm, *, environment: Environment, topic: SnsTopic
) -> CloudwatchMetricAlarm:
    """Make the alarm ``{name}-{suffix}``, which tells the topic when it fires and when it ends."""
    percentile = alarm.metric.statistic.startswith("p")
    return CloudwatchMetricAlarm(
        scope,
        alarm.name,
        alarm_name=environment.name(alarm.name),
        alarm_description=f"{alarm.description} Runbook: docs/runbook.md#{alarm.name}",
        namespace=alarm.metric.namespace,
        metric_name=alarm.metric.name,
        dimensions=alarm.metric.dimensions,
        # CloudWatch has two arguments for it: one for percentiles, one for all others.
        statistic=None if percentile else alarm.metric.statistic,
        extended_statistic=alarm.metric.statistic if percentile else None,
        period=alarm.period_seconds,
        evaluation_periods=1,
        threshold=alarm.threshold,
        comparison_operator="GreaterThanOrEqualToThreshold",
        treat_missing_data="breaching" if alarm.silence_fires else "notBreaching",
        alarm_actions=[topic.arn],
        ok_actions=[topic.arn],
    )
