"""Who deploys, and the clock that the requests are signed with."""

import platform
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from lib.config import StackConfig
from operations.checks.findings import (
    UNREADABLE,
    Clients,
    Finding,
    Level,
    ok,
    reason_of,
    status_of,
    unseen,
)

LOG_IN: Final = "aws sso login # or: aws configure"

SKEW_TO_NOTICE: Final = 60  # seconds
SKEW_REFUSED: Final = 300  # seconds: a signature is valid for that long


def credentials(
    config: StackConfig, clients: Clients
) -> tuple[Finding, str | None, dict[str, Any] | None]:
    """Look who these credentials are; return also the account and what STS answered, if it did."""
    about = "Credentials"
    fault = Finding(
        about=about,
        level=Level.FAULT,
        found="",
        why="Nothing can be deployed without valid credentials. InvalidClientTokenId also means"
        f" that the account has not enabled {config.region}:"
        f" aws account enable-region --region-name {config.region}",
        fix=LOG_IN,
    )
    by_hand = f"aws sts get-caller-identity --region {config.region}"
    try:
        answer = clients("sts", config.region).get_caller_identity()
        account, who = str(answer["Account"]), str(answer["Arn"])
    except ClientError as error:
        answered: dict[str, Any] = dict(error.response)
        if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return unseen(about, error, by_hand=by_hand), None, answered
        return replace(fault, found=f"refused: {reason_of(error)}"), None, answered
    except (NoConnection, HTTPClientError) as error:
        return unseen(about, error, by_hand=by_hand), None, None
    except BotoCoreError as error:
        return replace(fault, found=reason_of(error)), None, None
    except UNREADABLE as error:
        return unseen(about, error, by_hand=by_hand), None, None
    return ok(about, f"{who}, of account {account}"), account, dict(answer)


def clock(answer: dict[str, Any], now: datetime) -> Finding:
    """Compare this machine's clock with the time at which AWS answered."""
    about = "Clock"
    fix = (
        "sudo sntp -sS time.apple.com"
        if platform.system() == "Darwin"
        else "sudo timedatectl set-ntp true"
    )
    why = "AWS refuses a request whose signature is five minutes old or from the future."
    try:
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        skew = round((now - parsedate_to_datetime(date).astimezone(UTC)).total_seconds())
    except UNREADABLE:
        return Finding(
            about=about,
            level=Level.UNSEEN,
            found="could not look: the answer has no date",
            why=why,
            fix="timedatectl",
        )
    if abs(skew) < SKEW_TO_NOTICE:
        return ok(about, "agrees with AWS's to a minute")
    return Finding(
        about=about,
        level=Level.FAULT if abs(skew) >= SKEW_REFUSED else Level.WARNING,
        found=f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} AWS's",
        why=why,
        fix=fix,
    )
