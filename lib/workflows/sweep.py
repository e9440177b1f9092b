"""The schedule that looks for stuck payments and puts them back on the queue."""

from typing import Final

from cdktf_cdktf_provider_aws.scheduler_schedule import (
    SchedulerSchedule,
    SchedulerScheduleFlexibleTimeWindow,
    SchedulerScheduleTarget,
    SchedulerScheduleTargetRetryPolicy,
)
from constructs import Construct

from lib.environment import Environment
from lib.functions.compute import Compute
from lib.kit.iam import Statement, compact_json
from lib.kit.role import ServiceRole

SWEEP: Final = "payment-sweep"
SWEEP_MINUTES: Final = 5


class Sweep(Construct):
    """Invokes the payment processor every five minutes.

    Without a key of ours: the schedule's payload is no secret, and Scheduler would decrypt it with
    this role in a direct call. Its silence alarms (``payments-stuck``), whatever the reason.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        compute: Compute,
    ) -> None:
        super().__init__(scope, id_)
        function = compute.payment_processor
        role = ServiceRole(
            self,
            "role",
            environment=environment,
            name=SWEEP,
            service="scheduler.amazonaws.com",
            # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
            trust_conditions={
                "ArnEquals": {
                    "aws:SourceArn": environment.arns.of("scheduler", "schedule-group/default")
                },
                "StringEquals": {"aws:SourceAccount": environment.arns.account},
            },
            permissions=[
                Statement(
                    sid="CallPaymentProcessor",
                    actions=("lambda:InvokeFunction",),
                    resources=(function.arn,),
                ),
            ],
        )
        SchedulerSchedule(
            self,
            "schedule",
            name=environment.name(SWEEP),
            description="Finds payments that are not final after 15 minutes",
            schedule_expression=f"rate({SWEEP_MINUTES} minutes)",
            flexible_time_window=SchedulerScheduleFlexibleTimeWindow(mode="OFF"),
            target=SchedulerScheduleTarget(
                arn=function.arn,
                role_arn=role.role.arn,
                input=compact_json({"action": "sweep"}),
                # The next sweep comes anyway.
                retry_policy=SchedulerScheduleTargetRetryPolicy(
                    maximum_event_age_in_seconds=SWEEP_MINUTES * 60, maximum_retry_attempts=2
                ),
            ),
            depends_on=[role.policy],
        )
