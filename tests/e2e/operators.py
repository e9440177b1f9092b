"""People of a deployed environment: IAM users with the documented policies."""

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local import surroundings
from tests.e2e.environment import Environment


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An IAM user with one of the policies."""

    environment: Environment
    access_key: str
    secret_key: str

    def client(self, service: str) -> Any:
        """Return a boto3 client with the user's key."""
        return self.environment.client(
            service, access_key=self.access_key, secret_key=self.secret_key
        )

    @property
    def shell(self) -> dict[str, str]:
        """Environment variables of the user's shell."""
        return (
            surroundings.for_operations(os.environ)
            | self.environment.aws_access
            | {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
            | {"XDG_STATE_HOME": str(self.environment.deployment.workspace.state)}
        )

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``operations`` as the user."""
        return subprocess.run(
            [sys.executable, "-m", "operations", command, *arguments],
            env=self.shell,
            capture_output=True,
            text=True,
            check=False,
        )

    def get(self, path: str) -> Any:
        """Return what the API answers to a signed request."""
        deployment = self.environment.deployment
        request = AWSRequest("GET", f"{deployment.api_url}{path}")
        # Python does not resolve names below localhost everywhere: the address, with the name as host.
        host = urlsplit(deployment.api_url).netloc
        request.headers["Host"] = host
        credentials = Credentials(self.access_key, self.secret_key)
        SigV4Auth(credentials, "execute-api", deployment.workspace.region).add_auth(request)
        url = str(request.url).replace(host, f"127.0.0.1:{deployment.emulator.port}", 1)
        signed = urllib.request.Request(url, headers=dict(request.headers))  # noqa: S310 - ours
        context = ssl.create_default_context(cafile=deployment.emulator.authority)
        with urllib.request.urlopen(signed, context=context, timeout=30) as answer:  # noqa: S310 - ours
            return json.load(answer)


def placeholders(environment: Environment) -> Mapping[str, str]:
    """Return what the placeholders of the policies stand for in an environment."""
    [key] = [
        alias["TargetKeyId"]
        for alias in environment.clients.kms.list_aliases()["Aliases"]
        if alias["AliasName"] == f"alias/payments-{environment.suffix}"
    ]
    return {
        "region": environment.deployment.workspace.region,
        "account": environment.client("sts").get_caller_identity()["Account"],
        "suffix": environment.suffix,
        "api": environment.outputs["api_id"],
        "key": key,
    }
