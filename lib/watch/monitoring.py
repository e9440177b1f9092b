"""Alarms and the dashboard."""

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from lib.config import StackConfig
from lib.kit.iam import compact_json
from lib.watch.alarms import add_alarm, all_alarms
from lib.watch.dashboard import dashboard_body
from lib.watch.watched import Watched


class Monitoring(Construct):
    """Tells on-call that something is wrong, and shows what."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StackConfig,
        watched: Watched,
    ) -> None:
        super().__init__(scope, id_)
        alarms = [
            add_alarm(self, alarm, config=config, messaging=watched.messaging)
            for alarm in all_alarms(config, watched)
        ]
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=config.name("payments"),
            dashboard_body=compact_json(
                dashboard_body(
                    config=config,
                    watched=watched,
                    alarm_arns=[alarm.arn for alarm in alarms],
                )
            ),
        )
