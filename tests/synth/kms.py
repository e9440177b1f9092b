"""Who asks KMS for what when this system runs, and whether the synthesised policies allow it.

The local cloud encrypts nothing and asks no key, so nothing that runs there can tell that a service
would be refused. This table says, with AWS's page for each row, in whose name a service calls KMS
and what the call carries, and a small evaluator judges every call by the policies of the key and of
the roles.

What the table cannot know:

- whether a page is right or complete: nothing here has met AWS. The first thing to try there is
  ``aws cloudwatch set-alarm-state``, since few pages say what CloudWatch's call carries;
- grants: DynamoDB and Lambda make their own when a table or function is created, in the name of
  whoever deploys, and use them when nobody asks;
- the data keys that SQS, SNS and S3 keep for minutes: a permission that is missing may show late;
- what whoever deploys, uploads or is on call may do: their policies are not in the stack;
- service control policies, permission boundaries and VPC endpoint policies of an account;
- messages that SQS itself moves to a dead-letter queue: no page names a call to KMS.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.synth.terraform import Stack

type Statements = Sequence[Mapping[str, Any]]

REGION: Final = "eu-central-1"
ACCOUNT: Final = "111122223333"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/payments"

VIA: Final = "kms:ViaService"
FUNCTION_CONTEXT: Final = "kms:EncryptionContext:aws:lambda:FunctionArn"
LOGS_CONTEXT: Final = "kms:EncryptionContext:aws:logs:arn"

_DOCS: Final = "https://docs.aws.amazon.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What KMS is asked for in the name of a role that may do ``actions``, through a service."""

    actions: frozenset[str]
    service: str
    needs: tuple[str, ...]
    context: str
    page: str


USES: Final = (
    # DynamoDB decrypts the table's key for whoever reads or writes; it never makes one for them.
    Use(
        actions=frozenset(
            {
                "dynamodb:BatchGetItem",
                "dynamodb:ConditionCheckItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            }
        ),
        service="dynamodb",
        needs=("kms:Decrypt",),
        context="aws:dynamodb:tableName",
        page=f"{_DOCS}/amazondynamodb/latest/developerguide/encryption.howitworks.html",
    ),
    # A stream is encrypted with its table's key; Lambda's mapping reads it in the function's name.
    Use(
        actions=frozenset({"dynamodb:GetRecords"}),
        service="dynamodb",
        needs=("kms:Decrypt",),
        context="aws:dynamodb:tableName",
        page=f"{_DOCS}/amazondynamodb/latest/developerguide/encryption.usagenotes.html",
    ),
    # Producers make a data key and check it. Lambda's destinations (of a function and of a mapping)
    # and a workflow's task send in the name of their role, so they are producers like any other:
    # /lambda/latest/dg/invocation-async-retain-records.html
    Use(
        actions=frozenset({"sqs:SendMessage"}),
        service="sqs",
        needs=("kms:GenerateDataKey", "kms:Decrypt"),
        context="aws:sqs:arn",
        page=f"{_DOCS}/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
    ),
    # Consumers only decrypt. Lambda's mapping receives in the function's name.
    Use(
        actions=frozenset({"sqs:ReceiveMessage"}),
        service="sqs",
        needs=("kms:Decrypt",),
        context="aws:sqs:arn",
        page=f"{_DOCS}/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
    ),
    Use(
        actions=frozenset({"sns:Publish"}),
        service="sns",
        needs=("kms:GenerateDataKey", "kms:Decrypt"),
        context="aws:sns:topicArn",
        page=f"{_DOCS}/sns/latest/dg/sns-key-management.html",
    ),
    Use(
        actions=frozenset({"s3:GetObject", "s3:GetObjectVersion"}),
        service="s3",
        needs=("kms:Decrypt",),
        context="aws:s3:arn",
        page=f"{_DOCS}/AmazonS3/latest/userguide/UsingKMSEncryption.html",
    ),
    # An object that is uploaded in parts is decrypted, too, when the parts are put together.
    Use(
        actions=frozenset({"s3:PutObject"}),
        service="s3",
        needs=("kms:GenerateDataKey", "kms:Decrypt"),
        context="aws:s3:arn",
        page=f"{_DOCS}/AmazonS3/latest/userguide/UsingKMSEncryption.html",
    ),
)

NO_KEY: Final = frozenset(
    {
        # Log events go to CloudWatch Logs, which asks in its own name (see ``own_asks``).
        "logs:CreateLogDelivery",
        "logs:CreateLogStream",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutLogEvents",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
        # Names of streams; what they hold is read with a permission of its own.
        "dynamodb:ListStreams",
        # What is invoked or started is not encrypted with our key.
        "lambda:InvokeFunction",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
        # Metadata: no content is decrypted.
        "dynamodb:DescribeStream",
        "dynamodb:GetShardIterator",
        "s3:ListBucket",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    }
)
"""What a role may do without anybody asking KMS in its name."""

SERVICES: Final = ("dynamodb", "lambda", "logs", "s3", "scheduler", "secretsmanager", "sns", "sqs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call to KMS: who calls (a role's name, or a service), for what, and what it carries."""

    what: str
    page: str
    action: str
    role: str | None = None
    service: str | None = None
    carries: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say the call in one line."""
        who = self.role or self.service
        carried = ", ".join(f"{key}={value}" for key, value in self.carries.items())
        return f"{self.what}: {self.action} by {who} with {carried or 'nothing'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The statements of the key's policy, and of each role's by its name."""

    of_key: Statements
    of_roles: Mapping[str, Statements]


def via(service: str, region: str = REGION) -> str:
    """Return a service as ``kms:ViaService`` names it."""
    return f"{service}.{region}.amazonaws.com"


def arn(service: str, resource: str, account: str = ACCOUNT) -> str:
    """Return the ARN of a resource of ours."""
    return f"arn:aws:{service}:{REGION}:{account}:{resource}"


def read_policies(stack: Stack) -> Policies:
    """Return the policies of a stack, with an account and a key in place of references to them."""
    return Policies(
        of_key=_resolved(stack, stack.one("aws_kms_key").statements),
        of_roles={
            role["name"]: _resolved(
                stack, stack.one("aws_iam_role_policy", name=role["name"]).statements
            )
            for role in stack.all("aws_iam_role")
        },
    )


def _resolved(stack: Stack, value: Any) -> Any:
    match value:
        case str():
            key = f"${{{stack.one('aws_kms_key').address}.arn}}"
            text = re.sub(r"\$\{data\.aws_caller_identity\.[^}]+\.account_id\}", ACCOUNT, value)
            return text.replace(key, KEY)
        case list():
            return [_resolved(stack, item) for item in value]
        case dict():
            return {name: _resolved(stack, item) for name, item in value.items()}
        case _:
            return value


def documented_asks(stack: Stack) -> list[Ask]:
    """Return every call to KMS that is documented for what this stack is made of."""
    return [*_asks_in_the_name_of_roles(stack), *own_asks(stack)]


def _asks_in_the_name_of_roles(stack: Stack) -> Iterator[Ask]:
    for policy in stack.all("aws_iam_role_policy"):
        for statement in policy.statements:
            for use in USES:
                if not use.actions.isdisjoint(statement["Action"]):
                    for resource, need in (
                        (resource, need) for resource in statement["Resource"] for need in use.needs
                    ):
                        yield Ask(
                            what=f"{statement['Sid']} of {policy['name']}",
                            page=use.page,
                            action=need,
                            role=policy["name"],
                            carries={
                                VIA: via(use.service),
                                f"kms:EncryptionContext:{use.context}": resource,
                            },
                        )
    for function in stack.all("aws_lambda_function"):
        name = function["function_name"]
        # A version has variables of its own; whether their context names it, the page leaves open.
        for of_whom in (name, f"{name}:1"):
            yield Ask(
                what=f"variables of {of_whom}",
                page=f"{_DOCS}/lambda/latest/dg/configuration-envvars-encryption.html",
                action="kms:Decrypt",
                role=name,
                # Lambda decrypts them with the role's credentials in a call of its own: no
                # ViaService.
                carries={FUNCTION_CONTEXT: arn("lambda", f"function:{of_whom}")},
            )


def own_asks(stack: Stack) -> Iterator[Ask]:
    """Yield the calls of services that act in their own name: only the key's policy allows those."""
    for group in stack.all("aws_cloudwatch_log_group"):
        for action in (
            "kms:Decrypt",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ):
            yield Ask(
                what=f"log group {group['name']}",
                page=f"{_DOCS}/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
                action=action,
                service=f"logs.{REGION}.amazonaws.com",
                carries={LOGS_CONTEXT: arn("logs", f"log-group:{group['name']}")},
            )
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        for alarm in stack.all("aws_cloudwatch_metric_alarm"):
            yield Ask(
                what=f"alarm {alarm['alarm_name']} to the encrypted topic",
                page=f"{_DOCS}/sns/latest/dg/sns-key-management.html",
                action=action,
                service="cloudwatch.amazonaws.com",
                carries=_source(arn("cloudwatch", f"alarm:{alarm['alarm_name']}")),
            )
        # In every environment: anybody may subscribe a queue that is encrypted with this key.
        yield Ask(
            what="notifications to an encrypted queue",
            page=f"{_DOCS}/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html",
            action=action,
            service="sns.amazonaws.com",
            carries=_source(arn("sns", stack.one("aws_sns_topic")["name"])),
        )


def _source(source_arn: str) -> dict[str, str]:
    return {"aws:SourceArn": source_arn, "aws:SourceAccount": ACCOUNT}


def wrong_asks(stack: Stack) -> Iterator[Ask]:
    """Yield calls that nobody documents: each documented one with something wrong about it."""
    documented = documented_asks(stack)
    used = {(ask.role, ask.carries[VIA]) for ask in documented if ask.role and VIA in ask.carries}
    for ask in documented:
        yield from _with_wrong_action(ask)
        if ask.role is None:
            yield from _own_ask_gone_wrong(ask)
        elif VIA in ask.carries:
            elsewhere = {**ask.carries, VIA: ask.carries[VIA].replace(REGION, "us-east-1")}
            yield _but(ask, "through another region", carries=elsewhere)
            direct = {key: value for key, value in ask.carries.items() if key != VIA}
            yield _but(ask, "in a direct call", carries=direct)
        else:
            others = {
                FUNCTION_CONTEXT: ask.carries[FUNCTION_CONTEXT].replace("function:", "function:x")
            }
            yield _but(ask, "for another function", carries=others)
            yield _but(ask, "without a context", carries={})
    # Every role through every service that it has no use for.
    for role in (role["name"] for role in stack.all("aws_iam_role")):
        for service in SERVICES:
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                if (role, via(service)) not in used:
                    yield Ask(
                        what=f"{role} has no use of {service}",
                        page="",
                        action=action,
                        role=role,
                        carries={VIA: via(service)},
                    )


def _but(ask: Ask, wrong: str, **changes: Any) -> Ask:
    return replace(ask, what=f"{ask.what}, but {wrong}", page="", **changes)


def _with_wrong_action(ask: Ask) -> Iterator[Ask]:
    for action in ("kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"):
        yield _but(ask, "for something else", action=action)


def _own_ask_gone_wrong(ask: Ask) -> Iterator[Ask]:
    yield _but(ask, "by another service", service="events.amazonaws.com")
    yield _but(ask, "by a role that nobody gave anything", role="stranger", service=None)
    for key, value in ask.carries.items():
        without = {other: kept for other, kept in ask.carries.items() if other != key}
        yield _but(ask, f"without {key}", carries=without)
        if key == "aws:SourceAccount":
            wrong = "444455556666"
        else:
            # Another environment's resource of the same name.
            wrong = re.sub(r"-(dev|prod)\Z", "-other", value)
            assert wrong != value
        yield _but(ask, f"with another {key}", carries={**without, key: wrong})


def is_allowed(ask: Ask, policies: Policies) -> bool:
    """Judge a call as KMS does within one account, without grants.

    The key's policy decides for services; for roles it hands the decision to IAM where it allows
    the account's root. A Deny anywhere decides. See
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html

    Raises:
        NotImplementedError: a statement says something that the evaluator does not know.
    """
    of_role = policies.of_roles.get(ask.role or "", ())
    by_key = {
        statement["Effect"]
        for statement in policies.of_key
        if _speaks_of(statement, ask, "*") and _is_principal(statement["Principal"], ask)
    }
    by_role = {statement["Effect"] for statement in of_role if _speaks_of(statement, ask, KEY)}
    if "Deny" in by_key | by_role:
        return False
    return "Allow" in by_key and (ask.role is None or "Allow" in by_role)


def _speaks_of(statement: Mapping[str, Any], ask: Ask, resource: str) -> bool:
    if strange := statement.keys() - {
        "Sid",
        "Effect",
        "Principal",
        "Action",
        "Resource",
        "Condition",
    }:
        raise NotImplementedError(f"a statement with {', '.join(strange)}")
    return (
        any(_is_like(ask.action, action) for action in statement["Action"])
        and any(_is_like(resource, each) for each in statement["Resource"])
        and all(
            _holds(operator, ask.carries.get(key), [values] if isinstance(values, str) else values)
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def _is_principal(principal: Mapping[str, str], ask: Ask) -> bool:
    match dict(principal):
        case {"Service": service}:
            return service == ask.service
        case {"AWS": root} if root == f"arn:aws:iam::{ACCOUNT}:root":
            # Not every principal of the account: IAM decides, by the role's own policy.
            return ask.role is not None
        case other:
            raise NotImplementedError(f"a key's principal {other}")


def _holds(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    if operator == "Null":
        return (value is None) == (wanted == ["true"])
    if operator not in {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}:
        raise NotImplementedError(f"the condition operator {operator}")
    if value is None:
        return False
    if operator == "StringEquals":
        return value in wanted
    if operator == "StringLike":
        return any(_is_like(value, pattern) for pattern in wanted)
    # Both operators of ARNs take patterns, part by part:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    return any(_is_arn_like(value, pattern) for pattern in wanted)


def _is_arn_like(value: str, pattern: str) -> bool:
    parts, wanted = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(wanted) and all(map(_is_like, parts, wanted))


def _is_like(value: str, pattern: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value) is not None


def faults(asks: Sequence[Ask], wrong: Sequence[Ask], policies: Policies) -> Iterator[str]:
    """Yield every documented call that is refused, and every wrong one that is allowed."""
    yield from (f"refused: {ask}" for ask in asks if not is_allowed(ask, policies))
    yield from (f"allowed: {ask}" for ask in wrong if is_allowed(ask, policies))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMutant:
    """Policies that lack one thing which one statement says about the key."""

    where: str
    removed: str
    policies: Policies

    def __str__(self) -> str:
        """Return what is missing, for people."""
        return f"{self.where} without {self.removed}"


def key_mutants(policies: Policies) -> Iterator[KeyMutant]:
    """Yield policies without one statement about the key, one action, or one part of a condition.

    What the account may hand out is a list of what administrators need, so of that statement only
    what roles need is taken away.
    """
    needed = {need for use in USES for need in use.needs}
    for at, statement in enumerate(policies.of_key):
        for removed, mutated in _less(statement):
            if "Service" in statement["Principal"] or removed in {"all of it", *needed}:
                of_key = [*policies.of_key[:at], *mutated, *policies.of_key[at + 1 :]]
                yield KeyMutant(
                    where=f"key: {statement['Sid']}",
                    removed=removed,
                    policies=replace(policies, of_key=of_key),
                )
    for role, statements in policies.of_roles.items():
        for at, statement in enumerate(statements):
            if not any(action.startswith("kms:") for action in statement["Action"]):
                continue
            for removed, mutated in _less(statement):
                of_role = [*statements[:at], *mutated, *statements[at + 1 :]]
                yield KeyMutant(
                    where=f"{role}: {statement['Sid']}",
                    removed=removed,
                    policies=replace(policies, of_roles={**policies.of_roles, role: of_role}),
                )


def _less(statement: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    yield "all of it", []
    for action in statement["Action"]:
        left = [kept for kept in statement["Action"] if kept != action]
        yield action, [{**statement, "Action": left}] if left else []
    conditions = statement.get("Condition", {})
    for operator, tests in conditions.items():
        for key, values in tests.items():
            others = {other: kept for other, kept in tests.items() if other != key}
            yield (
                f"the condition {key}",
                [{**statement, "Condition": {**conditions, operator: others}}],
            )
            for value in values if isinstance(values, list) else ():
                left = [kept for kept in values if kept != value]
                tested = {**conditions, operator: {**others, key: left}}
                yield f"{key} = {value}", [{**statement, "Condition": tested}]
