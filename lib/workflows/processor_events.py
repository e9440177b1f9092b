"""What happens at the processor and was not asked for by us: its events wake a look."""

from typing import Final

from cdktf_cdktf_provider_aws.cloudwatch_event_bus import CloudwatchEventBus
from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from lib.environment import Environment
from lib.functions.compute import Compute
from lib.kit.iam import compact_json

EVENTS: Final = (
    "charge.refunded",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.succeeded",
    "refund.failed",
    "refund.updated",
)
"""What is worth a look: https://docs.stripe.com/api/events/types"""

_PARTNER: Final = "aws.partner/"


class ProcessorEvents(Construct):
    """The bus of Stripe's partner event source, and the rule that hands its events over.

    No public route and no signature: only Stripe can send to the source, and only to this account.
    A source of one's own, in a disposable environment, gets a bus that this account can send to.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        source: str,
        compute: Compute,
    ) -> None:
        super().__init__(scope, id_)
        is_partner = source.startswith(_PARTNER)
        bus = CloudwatchEventBus(
            self,
            "bus",
            # The bus of a partner is called like its source:
            # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html
            name=source if is_partner else environment.name("payment-processor-events"),
            event_source_name=source if is_partner else None,
        )
        rule = CloudwatchEventRule(
            self,
            "rule",
            name=environment.name("payment-processor-events"),
            description="What happened to payments at the processor",
            event_bus_name=bus.name,
            event_pattern=compact_json({"source": [source], "detail-type": EVENTS}),
        )
        function = compute.payment_processor
        LambdaPermission(
            self,
            "may-invoke",
            function_name=function.name,
            qualifier=function.qualifier,
            action="lambda:InvokeFunction",
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            source_account=environment.arns.account,
        )
        CloudwatchEventTarget(
            self, "target", rule=rule.name, event_bus_name=bus.name, arn=function.arn
        )
