"""Alarms and the dashboard."""

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from lib.environment import Environment
from lib.kit.alarm import add_alarm
from lib.kit.iam import compact_json
from lib.watch.alarms import all_alarms
from lib.watch.dashboard import dashboard_body
from lib.watch.watched import Watched


class Monitoring(Construct):
    """Tells on-call that something is wrong, and shows what."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        watched: Watched,
    ) -> None:
        super().__init__(scope, id_)
        alarms = [
            add_alarm(self, alarm, environment=environment, topic=watched.messaging.topic)
            for alarm in all_alarms(environment.config, watched)
        ]
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=environment.name("payments"),
            dashboard_body=compact_json(
                dashboard_body(
                    config=environment.config,
                    watched=watched,
                    alarm_arns=[alarm.arn for alarm in alarms],
                )
            ),
        )
