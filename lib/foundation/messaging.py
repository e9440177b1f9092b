"""The topic, the queues of payments, and where what cannot be handled is set aside."""

from typing import Final

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sqs_queue_redrive_policy import SqsQueueRedrivePolicy
from constructs import Construct

from lib.environment import Environment
from lib.kit.iam import Statement, compact_json, deny_plain_http, policy_json
from lib.kit.queue import add_queue

MAX_RECEIVES: Final = 50
"""Only crashes use them up: what is busy is sent again, and what is hopeless is set aside."""

WAITING_SECONDS: Final = 4 * 24 * 3600
"""How long a message waits at most before it is dropped; what is set aside has ten days more."""


class Messaging(Construct):
    """Payments that wait, what nobody could handle, and the topic that subscribers listen to."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        self.events_queue = add_queue(
            self, "payment-events", environment=environment, retention_seconds=WAITING_SECONDS
        )
        # Rows of files wait here, so that a file never stands before a customer.
        self.rows_queue = add_queue(
            self, "payment-rows", environment=environment, retention_seconds=WAITING_SECONDS
        )
        self.dead_letter_queue = add_queue(
            self,
            "payment-events-dlq",
            environment=environment,
            redrive_allow_policy=compact_json(
                {
                    "redrivePermission": "byQueue",
                    "sourceQueueArns": [
                        environment.arn("sqs", "payment-events"),
                        environment.arn("sqs", "payment-rows"),
                    ],
                }
            ),
        )
        # Terraform waits 25 s for whatever it sets on a queue. This way both queues are made at
        # once, and what only needs the queue does not wait for its dead-letter queue.
        for name, queue in (
            ("payment-events", self.events_queue),
            ("payment-rows", self.rows_queue),
        ):
            SqsQueueRedrivePolicy(
                self,
                f"{name}-redrive",
                queue_url=queue.url,
                redrive_policy=compact_json(
                    {
                        "deadLetterTargetArn": self.dead_letter_queue.arn,
                        "maxReceiveCount": MAX_RECEIVES,
                    }
                ),
            )
        self.failures_queue = add_queue(self, "payment-processor-failures", environment=environment)
        self.announcements_dead_letter_queue = add_queue(
            self, "payment-announcements-dlq", environment=environment
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
