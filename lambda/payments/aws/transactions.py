"""Writing several items, all or none (DynamoDB). Every AWS failure is ``ServiceUnavailable``."""

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from payments.aws.failures import unavailable
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS: Final = 8
_BACKOFF_SECONDS: Final = 0.02


class Transactions:
    """Writes all items or none."""

    def __init__(
        self, client: "DynamoDBClient", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._sleep = sleep

    def write(self, writes: Sequence["TransactWriteItemTypeDef"]) -> list[dict[str, Any]]:
        """Write all or nothing; return the cancellation reasons if a condition does not hold."""
        for attempt in range(_ATTEMPTS):
            with unavailable("the payment could not be written"):
                try:
                    self._client.transact_write_items(TransactItems=writes)
                except self._client.exceptions.TransactionCanceledException as error:
                    reasons: list[dict[str, Any]] = [
                        dict(reason) for reason in error.response["CancellationReasons"]
                    ]
                    codes = {reason.get("Code") for reason in reasons}
                else:
                    return []
            # While another transaction is under way on one of the items, nothing that the other
            # conditions say is certain: [TransactionConflict, None, ConditionalCheckFailed] was
            # seen on AWS. Its outcome is known shortly.
            if "ConditionalCheckFailed" in codes and "TransactionConflict" not in codes:
                return reasons
            self._sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))
        raise ServiceUnavailable("the payment is being written by too many concurrently")
