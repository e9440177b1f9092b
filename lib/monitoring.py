"""Alarms and the dashboard."""

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from lib.alarms import add_alarm, all_alarms
from lib.api import Api
from lib.batch_workflow import BatchWorkflow
from lib.compute import Compute
from lib.config import StackConfig
from lib.dashboard import dashboard_body
from lib.iam import compact_json
from lib.messaging import Messaging
from lib.workflow import PaymentWorkflow


class Monitoring(Construct):
    """Tells on-call that something is wrong, and shows what."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StackConfig,
        messaging: Messaging,
        compute: Compute,
        workflow: PaymentWorkflow,
        batch_workflow: BatchWorkflow,
        api: Api,
    ) -> None:
        super().__init__(scope, id_)
        alarms = [
            add_alarm(self, alarm, config=config, messaging=messaging)
            for alarm in all_alarms(
                messaging=messaging,
                compute=compute,
                workflow=workflow,
                batch_workflow=batch_workflow,
                api=api,
            )
        ]
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=config.name("payments"),
            dashboard_body=compact_json(
                dashboard_body(
                    config=config,
                    messaging=messaging,
                    compute=compute,
                    workflow=workflow,
                    batch_workflow=batch_workflow,
                    api=api,
                    alarm_arns=[alarm.arn for alarm in alarms],
                )
            ),
        )
