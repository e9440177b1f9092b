"""``payments processor``: give an environment the key of its payment processor, or look at it."""

import argparse
import getpass
import re
import sys
from typing import TYPE_CHECKING, Final

from lib.config import takes_real_money
from operations import clients, screen
from operations.options import DONE, NO, Commands, add_command, add_group

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET: Final = "payment-processor-key"  # noqa: S105 - the name of a secret is none
"""The secret of an environment, ``{SECRET}-{suffix}``, which the stack makes without a value."""

_KEY: Final = re.compile(r"(?P<kind>sk|rk)_(?P<mode>live|test)_[A-Za-z0-9_]{10,240}")
_KINDS: Final = {"sk": "secret", "rk": "restricted"}


def set_key(client: "SecretsManagerClient", environment: str, key: str) -> str:
    """Write the key of an environment's processor; functions use it within 15 minutes.

    Returns:
        What was done, without the key.

    Raises:
        ValueError: it is no key, or none for this environment; nothing was written.
        ClientError, BotoCoreError: it could not be written.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError(
            "this is no key of Stripe's: expected a restricted or secret key, which begins with"
            " rk_test_, sk_test_, rk_live_ or sk_live_"
        )
    mode, expected = found["mode"], _mode_of(environment)
    if mode != expected:
        raise ValueError(
            f"this is a {mode} key, and {environment!r} takes a {expected} key: live keys are for"
            " environments whose names begin with prod, test keys for all others"
        )
    client.put_secret_value(SecretId=f"{SECRET}-{environment}", SecretString=key)
    return f"{environment} has a new {_KINDS[found['kind']]} {mode} key; used within 15 minutes"


def status(client: "SecretsManagerClient", environment: str) -> tuple[str, bool]:
    """Say whether an environment has a key that it can use, and since when; never the key.

    Returns:
        A sentence, and whether the key is one for this environment.

    Raises:
        ClientError, BotoCoreError: it could not be read.
    """
    try:
        answer = client.get_secret_value(SecretId=f"{SECRET}-{environment}")
    except client.exceptions.ResourceNotFoundException:
        client.describe_secret(SecretId=f"{SECRET}-{environment}")
        return f"{environment} has no key yet: payments wait until processor set-key", False
    since = f"{answer['CreatedDate']:%Y-%m-%d %H:%M %Z}".rstrip()
    found = _KEY.fullmatch(answer.get("SecretString", "").strip())
    if found is None:
        return f"{environment} has something since {since} that is no key: payments wait", False
    told = f"{environment} has a {_KINDS[found['kind']]} {found['mode']} key since {since}"
    if found["mode"] != _mode_of(environment):
        return f"{told}, which it does not take: payments wait", False
    return told, True


def _mode_of(environment: str) -> str:
    return "live" if takes_real_money(environment) else "test"


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "processor", "the key of the payment processor")
    add_command(group, "set-key", _set_key, "read the key from standard input and store it")
    add_command(group, "status", _status, "say whether there is a usable key, and since when")


def _set_key(options: argparse.Namespace) -> int:
    try:
        told = set_key(clients.secretsmanager(), options.env, _read_key())
    except ValueError as refused:
        screen.complain(f"Nothing was stored: {refused}.")
        return NO
    screen.say(told)
    return DONE


def _status(options: argparse.Namespace) -> int:
    told, is_usable = status(clients.secretsmanager(), options.env)
    if options.json:
        screen.document({"environment": options.env, "usable": is_usable, "status": told})
    else:
        screen.say(told)
    return DONE if is_usable else NO


def _read_key() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Key (not shown): ").strip()
    return sys.stdin.readline().strip()
