"""One way to make an alarm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)
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
    """Fires when ``metric``, and what is ``added``, reach ``threshold`` within ``period_seconds``."""

    name: str
    description: str
    metric: Metric = field(repr=False)
    threshold: int
    period_seconds: int
    added: Sequence[Metric] = field(default=(), repr=False)
    """Metrics that count as well: the alarm is about the sum of all."""
    silence_fires: bool = False
    """Whether it fires when nothing is measured, because that is a sign that nobody measures."""


def add_alarm(
    scope: Construct, alarm: Alarm, *, environment: Environment, topic: SnsTopic
) -> CloudwatchMetricAlarm:
    """Make the alarm ``{name}-{suffix}``, which tells the topic when it fires and when it ends."""
    return CloudwatchMetricAlarm(
        scope,
        alarm.name,
        alarm_name=environment.name(alarm.name),
        alarm_description=f"{alarm.description} Runbook: docs/runbook.md#{alarm.name}",
        **(_sum(alarm) if alarm.added else _single(alarm)),
        evaluation_periods=1,
        threshold=alarm.threshold,
        comparison_operator="GreaterThanOrEqualToThreshold",
        treat_missing_data="breaching" if alarm.silence_fires else "notBreaching",
        alarm_actions=[topic.arn],
        ok_actions=[topic.arn],
    )


def _single(alarm: Alarm) -> dict[str, Any]:
    percentile = alarm.metric.statistic.startswith("p")
    return {
        "namespace": alarm.metric.namespace,
        "metric_name": alarm.metric.name,
        "dimensions": alarm.metric.dimensions,
        # CloudWatch has two arguments for it: one for percentiles, one for all others.
        "statistic": None if percentile else alarm.metric.statistic,
        "extended_statistic": alarm.metric.statistic if percentile else None,
        # Of few requests, the slowest hundredth is one request, which says nothing:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
        "evaluate_low_sample_count_percentiles": "ignore" if percentile else None,
        "period": alarm.period_seconds,
    }


def _sum(alarm: Alarm) -> dict[str, Any]:
    """Add metrics up. ``SUM`` of a list counts those that have a value, even if others have none.

    See https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    total = CloudwatchMetricAlarmMetricQuery(
        id="total", expression="SUM(METRICS())", label="Sum of all", return_data=True
    )
    return {
        "metric_query": [
            total,
            *(
                CloudwatchMetricAlarmMetricQuery(
                    id=f"m{number}",
                    metric=CloudwatchMetricAlarmMetricQueryMetric(
                        namespace=metric.namespace,
                        metric_name=metric.name,
                        dimensions=metric.dimensions,
                        stat=metric.statistic,
                        period=alarm.period_seconds,
                    ),
                )
                for number, metric in enumerate((alarm.metric, *alarm.added), start=1)
            ),
        ]
    }
