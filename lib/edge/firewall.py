"""The web ACL in front of a protected environment's API."""

from collections.abc import Sequence
from typing import Any, Final

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.wafv2_web_acl import (
    Wafv2WebAcl,
    Wafv2WebAclDefaultAction,
    Wafv2WebAclDefaultActionAllow,
    Wafv2WebAclRule,
    Wafv2WebAclRuleAction,
    Wafv2WebAclRuleActionBlock,
    Wafv2WebAclRuleOverrideAction,
    Wafv2WebAclRuleOverrideActionNone,
    Wafv2WebAclRuleVisibilityConfig,
    Wafv2WebAclVisibilityConfig,
)
from cdktf_cdktf_provider_aws.wafv2_web_acl_association import Wafv2WebAclAssociation
from cdktf_cdktf_provider_aws.wafv2_web_acl_logging_configuration import (
    Wafv2WebAclLoggingConfiguration,
    Wafv2WebAclLoggingConfigurationRedactedFields,
    Wafv2WebAclLoggingConfigurationRedactedFieldsSingleHeader,
)
from constructs import Construct

from lib.edge.api import Api
from lib.environment import Environment

RATE_WINDOW_SECONDS: Final = 300

# What would refuse requests that the API's contract allows, or answer in the API's place: a body
# of 8 to 16 KB, which the API reads, a larger one, which gets its 413, and a client that names no
# program. Counted, not blocked.
COUNTED_RULES: Final = ("NoUserAgent_HEADER", "SizeRestrictions_BODY")

# See https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
_MANAGED_GROUPS: Final[tuple[tuple[str, Sequence[str]], ...]] = (
    ("AWSManagedRulesAmazonIpReputationList", ()),
    ("AWSManagedRulesKnownBadInputsRuleSet", ()),
    ("AWSManagedRulesCommonRuleSet", COUNTED_RULES),
)

# Keep signatures out of the logs.
_REDACTED_HEADERS: Final = ("authorization", "x-amz-security-token")


class Firewall(Construct):
    """Refuses known attacks, and an address that would use up the whole API by itself."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        api: Api,
    ) -> None:
        super().__init__(scope, id_)
        name = environment.name("payment-api")
        web_acl = Wafv2WebAcl(
            self,
            "web-acl",
            name=name,
            description="In front of the payments API",
            scope="REGIONAL",
            default_action=Wafv2WebAclDefaultAction(allow=Wafv2WebAclDefaultActionAllow()),
            rule=[
                _rate_limit(requests=environment.profile.throttle_rate * RATE_WINDOW_SECONDS // 2),
                *(
                    _managed(group, counted, priority=priority)
                    for priority, (group, counted) in enumerate(_MANAGED_GROUPS, 1)
                ),
            ],
            visibility_config=Wafv2WebAclVisibilityConfig(
                cloudwatch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
            ),
        )
        Wafv2WebAclAssociation(
            self, "association", resource_arn=api.stage.arn, web_acl_arn=web_acl.arn
        )
        log_group = CloudwatchLogGroup(
            self,
            "log-group",
            name=environment.config.firewall_log_group,
            retention_in_days=environment.profile.log_retention_days,
            kms_key_id=environment.key.arn,
        )
        Wafv2WebAclLoggingConfiguration(
            self,
            "logging",
            resource_arn=web_acl.arn,
            log_destination_configs=[log_group.arn],
            redacted_fields=[
                Wafv2WebAclLoggingConfigurationRedactedFields(
                    single_header=Wafv2WebAclLoggingConfigurationRedactedFieldsSingleHeader(
                        name=header
                    )
                )
                for header in _REDACTED_HEADERS
            ],
        )


def _rate_limit(*, requests: int) -> Wafv2WebAclRule:
    """Block an address beyond half of what the API takes from all of them together."""
    return Wafv2WebAclRule(
        name="one-address",
        priority=0,
        action=Wafv2WebAclRuleAction(block=Wafv2WebAclRuleActionBlock()),
        statement={
            "rate_based_statement": {
                "limit": requests,
                "aggregate_key_type": "IP",
                "evaluation_window_sec": RATE_WINDOW_SECONDS,
            }
        },
        visibility_config=_visibility("one-address"),
    )


def _managed(group: str, counted: Sequence[str], *, priority: int) -> Wafv2WebAclRule:
    statement: dict[str, Any] = {"name": group, "vendor_name": "AWS"}
    if counted:
        statement["rule_action_override"] = [
            {"name": rule, "action_to_use": {"count": {}}} for rule in counted
        ]
    return Wafv2WebAclRule(
        name=group,
        priority=priority,
        override_action=Wafv2WebAclRuleOverrideAction(none=Wafv2WebAclRuleOverrideActionNone()),
        statement={"managed_rule_group_statement": statement},
        visibility_config=_visibility(group),
    )


def _visibility(metric: str) -> Wafv2WebAclRuleVisibilityConfig:
    # Samples would show whole requests to whoever may look at the web ACL.
    return Wafv2WebAclRuleVisibilityConfig(
        cloudwatch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=False
    )
