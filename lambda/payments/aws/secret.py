"""Adapter: a secret in Secrets Manager, kept for a quarter of an hour."""

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from payments.aws.failures import unavailable
from payments.core.faults import GatewayRefused

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEPT_SECONDS: Final = 15 * 60

_FAULTS_OF_OURS: Final = frozenset(
    {
        "AccessDeniedException",
        "DecryptionFailure",
        "InvalidRequestException",
        "ResourceNotFoundException",
    }
)
"""There is no secret or no value yet, the secret is being deleted, or the function may not read it.
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html"""


class Secret:
    """Reads one secret, and remembers it."""

    def __init__(
        self,
        client: "SecretsManagerClient",
        arn: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._arn = arn
        self._clock = clock
        self._lock = Lock()
        self._value = ""
        self._read_at = -float("inf")

    def __call__(self, *, anew: bool = False) -> str:
        """Return the secret, as it was read in the last 15 minutes unless ``anew``.

        Raises:
            GatewayRefused: it has no value, or it may not be read: on-call has to act.
            ServiceUnavailable: try again.
        """
        asked_at = self._clock()
        with self._lock:
            # Another thread may have read it while this one waited for the lock.
            is_fresh = self._read_at >= asked_at
            if not is_fresh and (anew or asked_at - self._read_at > KEPT_SECONDS):
                self._value = self._read()
                self._read_at = self._clock()
            return self._value

    def _read(self) -> str:
        with unavailable("the processor's key could not be read"):
            try:
                answer = self._client.get_secret_value(SecretId=self._arn)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in _FAULTS_OF_OURS:
                    raise
                raise GatewayRefused(f"the processor's key cannot be read: {code}") from error
        value = answer.get("SecretString", "").strip()
        if not value:
            raise GatewayRefused("the processor's key has no value")
        return value
