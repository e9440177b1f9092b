"""Who is told: on-call about alarms, and a subscriber about what became of payments."""

from typing import Final

from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.kit.iam import Statement, compact_json
from lib.kit.queue import add_queue

# Alarms carry no attributes, and nothing else on the topic has a name of an alarm in its body.
ONLY_ALARMS: Final = {"AlarmName": [{"exists": True}]}
ONLY_UPDATES: Final = {
    "event_type": [
        {"prefix": f"{subject}."} for subject in ("payment", "refund", "capture", "batch")
    ]
}


class Subscriptions(Construct):
    """The subscriptions that the configuration asks for, each with a dead-letter queue."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        messaging: Messaging,
    ) -> None:
        super().__init__(scope, id_)
        self._environment = environment
        self._topic = messaging.topic
        dead_letter_queues = []
        if environment.config.alarm_email is not None:
            alarms = self._subscribe(
                "payment-alarms",
                protocol="email",
                endpoint=environment.config.alarm_email,
                filter_policy_scope="MessageBody",
                filter_policy=compact_json(ONLY_ALARMS),
            )
            dead_letter_queues.append(alarms)
        if environment.config.payment_updates_endpoint is not None:
            endpoint = environment.config.payment_updates_endpoint
            updates = self._subscribe(
                "payment-updates",
                protocol="sqs" if endpoint.startswith("arn:") else "https",
                endpoint=endpoint,
                filter_policy_scope="MessageAttributes",
                filter_policy=compact_json(ONLY_UPDATES),
            )
            dead_letter_queues.append(updates)
        self.dead_letter_queues = tuple(dead_letter_queues)

    def _subscribe(
        self,
        name: str,
        *,
        protocol: str,
        endpoint: str,
        filter_policy_scope: str,
        filter_policy: str,
    ) -> SqsQueue:
        dead_letters = add_queue(
            self,
            f"{name}-dlq",
            environment=self._environment,
            statements=[self._topic_may_send(f"{name}-dlq")],
        )
        SnsTopicSubscription(
            self,
            name,
            topic_arn=self._topic.arn,
            protocol=protocol,
            endpoint=endpoint,
            filter_policy_scope=filter_policy_scope,
            filter_policy=filter_policy,
            redrive_policy=compact_json({"deadLetterTargetArn": dead_letters.arn}),
        )
        return dead_letters

    def _topic_may_send(self, queue: str) -> Statement:
        return Statement(
            sid="UndeliveredNotifications",
            principal={"Service": "sns.amazonaws.com"},
            actions=("sqs:SendMessage",),
            resources=(self._environment.arn("sqs", queue),),
            conditions={
                "ArnEquals": {"aws:SourceArn": self._topic.arn},
                "StringEquals": {"aws:SourceAccount": self._environment.arns.account},
            },
        )
