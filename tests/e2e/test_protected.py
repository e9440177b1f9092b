"""A protected environment: who gets in, what passes its encrypted channels, and that it stays."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from local.errors import RigError
from local.workspace import REPOSITORY
from tests.e2e.environment import Environment, eventually

# The first command that pays, and the signed one, as the documentation has them.
PAY = (REPOSITORY / "docs/pay.md").read_text()
PAYING = [
    command
    for command in re.findall(r"```sh\n(curl -i .*?)\n```", PAY, re.DOTALL)
    if '"$API/payments"' in command
]
PAY_UNSIGNED = PAYING[0]
[PAY_SIGNED] = (command for command in PAYING if "--aws-sigv4" in command)
PAYMENT = "pay_123456"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An IAM user, as a shell knows it."""

    access_key: str
    secret_key: str


@pytest.fixture(scope="module")
def make_caller(protected: Environment) -> Iterator[Callable[..., Caller]]:
    """Make an IAM user that may do what the statements say; gone after the tests."""
    iam, made = protected.client("iam"), []

    def make(name: str, *statements: Mapping[str, Any]) -> Caller:
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, key["AccessKeyId"], bool(statements)))
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return Caller(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])

    yield make
    for name, access_key, has_policy in made:
        iam.delete_access_key(UserName=name, AccessKeyId=access_key)
        if has_policy:
            iam.delete_user_policy(UserName=name, PolicyName="all")
        iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def payer(protected: Environment, make_caller: Callable[..., Caller]) -> Caller:
    """Somebody who may pay and look payments up."""
    return make_caller("payer", may_call(protected, "POST/payments", "GET/payments/*"))


def may_call(protected: Environment, *routes: str) -> dict[str, Any]:
    api = f"arn:aws:execute-api:*:*:{protected.outputs['api_id']}/{protected.suffix}"
    return {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": [f"{api}/{route}" for route in routes],
    }


def run(command: str, protected: Environment, caller: Caller | None = None) -> tuple[int, str]:
    """Run a curl command in a shell as the documentation prepares it; return status and body."""
    access = protected.aws_access | {
        "API": protected.deployment.api_url,
        "CURL_CA_BUNDLE": str(protected.deployment.workspace.authority),
        "PATH": "/usr/bin:/bin:/usr/local/bin",
    }
    if caller:
        access |= {
            "AWS_ACCESS_KEY_ID": caller.access_key,
            "AWS_SECRET_ACCESS_KEY": caller.secret_key,
        }
    ran = subprocess.run(
        ["sh", "-c", f"{command} --silent --show-error"],
        env=access,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    head, _, body = ran.stdout.replace("\r\n", "\n").rpartition("\n\n")
    return int(head.split("\n")[0].split()[1]), body


def look_up(payment_id: str, protected: Environment, caller: Caller) -> tuple[int, str]:
    signed = PAY_SIGNED.partition("-H")[0].replace('/payments"', f'/payments/{payment_id}"')
    return run(signed.replace("\\\n", " "), protected, caller)


def test_an_unsigned_request_is_refused(protected: Environment) -> None:
    status, body = run(PAY_UNSIGNED, protected)
    assert status == 403
    assert json.loads(body)["errors"][0]["code"] == "unsigned_or_unknown_route"


def test_a_wrongly_signed_request_is_refused(protected: Environment, payer: Caller) -> None:
    forged = Caller(access_key=payer.access_key, secret_key="guessed")
    status, body = run(PAY_SIGNED, protected, forged)
    assert status == 403
    assert json.loads(body)["errors"][0]["code"] == "invalid_signature"


def test_a_key_that_nobody_has_is_refused(protected: Environment) -> None:
    stranger = Caller(access_key="AKIASTRANGER", secret_key="guessed")
    assert run(PAY_SIGNED, protected, stranger)[0] == 403


def test_a_signer_without_permission_is_refused(
    protected: Environment, make_caller: Callable[..., Caller]
) -> None:
    assert run(PAY_SIGNED, protected, make_caller("bystander"))[0] == 403


def test_permission_for_one_route_is_none_for_another(
    protected: Environment, make_caller: Callable[..., Caller]
) -> None:
    reader = make_caller("reader", may_call(protected, "GET/payments/*"))
    assert look_up("pay_nobody", protected, reader)[0] == 404
    assert run(PAY_SIGNED, protected, reader)[0] == 403


def test_a_signed_request_of_somebody_permitted_pays(protected: Environment, payer: Caller) -> None:
    # Nothing of what was refused before has left a trace.
    assert look_up(PAYMENT, protected, payer)[0] == 404
    assert run(PAY_SIGNED, protected, payer)[0] == 202

    def final() -> dict[str, Any] | None:
        status, body = look_up(PAYMENT, protected, payer)
        payment: dict[str, Any] = json.loads(body)
        return payment if (status, payment["status"]) == (200, "COMPLETED") else None

    assert eventually(final, patience=60)["amount"] == "99.99"


def test_an_upload_passes_the_encrypted_queue_and_ends_on_the_encrypted_topic(
    protected: Environment, make_caller: Callable[..., Caller], subscribe: Callable[..., Any]
) -> None:
    """The uploader may put objects and nothing else; every function acts by its own role."""
    outputs, clients = protected.outputs, protected.clients
    [key] = [
        alias["TargetKeyId"]
        for alias in clients.kms.list_aliases()["Aliases"]
        if alias["AliasName"] == f"alias/payments-{protected.suffix}"
    ]
    queue = clients.sqs.get_queue_attributes(
        QueueUrl=outputs["payment_events_queue_url"], AttributeNames=["KmsMasterKeyId"]
    )["Attributes"]["KmsMasterKeyId"]
    topic = clients.sns.get_topic_attributes(TopicArn=outputs["payment_notifications_topic_arn"])
    assert queue.endswith(key)
    assert topic["Attributes"]["KmsMasterKeyId"].endswith(key)

    notifications = subscribe(protected, "uploads-seen-by-tests")
    bucket = outputs["batch_bucket"]
    statement = {
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    uploader = make_caller("uploader", statement)
    client = protected.client("s3", access_key=uploader.access_key, secret_key=uploader.secret_key)
    client.put_object(
        Bucket=bucket,
        Key="encrypted.csv",
        Body=b"payment_id,amount,currency\npay_uploaded,1.00,USD\n",
    )
    assert notifications.of("pay_uploaded")["event_type"] == "payment.completed"


def test_an_alarm_is_told_on_the_encrypted_topic(
    protected: Environment, subscribe: Callable[..., Any]
) -> None:
    alarm = f"payment-events-age-{protected.suffix}"
    notifications = subscribe(protected, "protected-alarms-seen-by-tests")
    protected.clients.cloudwatch.set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="a test"
    )
    raised = notifications.matching(lambda event: event.get("AlarmName") == alarm)
    assert raised["NewStateValue"] == "ALARM"


def test_the_web_acl_stands_before_the_api_and_logs(protected: Environment) -> None:
    waf = protected.client("wafv2")
    [listed] = waf.list_web_acls(Scope="REGIONAL")["WebACLs"]
    [stage] = waf.list_resources_for_web_acl(WebACLArn=listed["ARN"])["ResourceArns"]
    assert stage.endswith(f"/restapis/{protected.outputs['api_id']}/stages/{protected.suffix}")
    logging = waf.get_logging_configuration(ResourceArn=listed["ARN"])["LoggingConfiguration"]
    [destination] = logging["LogDestinationConfigs"]
    assert f":aws-waf-logs-payment-api-{protected.suffix}" in destination


@pytest.mark.last
def test_destroying_it_is_refused_and_leaves_everything(
    protected: Environment, payer: Caller
) -> None:
    with pytest.raises(RigError, match=r"cdktf destroy failed") as refusal:
        protected.deployment.destroy()
    assert "prevent_destroy" in str(refusal.value)
    assert look_up(PAYMENT, protected, payer)[0] == 200
