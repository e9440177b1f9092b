"""The topic, the queue and its dead-letter queue."""

from typing import Final

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sqs_queue_redrive_policy import SqsQueueRedrivePolicy
from constructs import Construct

from lib.environment import Environment
from lib.kit.iam import Statement, compact_json, deny_plain_http, policy_json
from lib.kit.queue import add_queue

MAX_RECEIVES: Final = 5


class Messaging(Construct):
    """Payment events to be handled, those nobody could handle, and status notifications."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        self.events_queue = add_queue(self, "payment-events", environment=environment)
        self.dead_letter_queue = add_queue(
            self,
            "payment-events-dlq",
            environment=environment,
            redrive_allow_policy=compact_json(
                {
                    "redrivePermission": "byQueue",
                    "sourceQueueArns": [environment.arn("sqs", "payment-events")],
                }
            ),
        )
        # Terraform waits 25 s for whatever it sets on a queue. This way both queues are made at
        # once, and what only needs the queue does not wait for its dead-letter queue.
        SqsQueueRedrivePolicy(
            self,
            "payment-events-redrive",
            queue_url=self.events_queue.url,
            redrive_policy=compact_json(
                {
                    "deadLetterTargetArn": self.dead_letter_queue.arn,
                    "maxReceiveCount": MAX_RECEIVES,
                }
            ),
        )
        topic_arn = environment.arn("sns", "payment-notifications")
        self.topic = SnsTopic(
            self,
            "payment-notifications",
            name=environment.name("payment-notifications"),
            kms_master_key_id=environment.key.arn,
            policy=policy_json(
                deny_plain_http(actions=("sns:Publish",), resources=(topic_arn,)),
                Statement(
                    sid="Alarms",
                    principal={"Service": "cloudwatch.amazonaws.com"},
                    actions=("sns:Publish",),
                    resources=(topic_arn,),
                    conditions={
                        "ArnLike": {"aws:SourceArn": environment.arn("cloudwatch", "alarm:*")},
                        "StringEquals": {"aws:SourceAccount": environment.arns.account},
                    },
                ),
            ),
        )
