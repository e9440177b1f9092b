"""The items of a batch's rows: those that were not paid, and the counts of all."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from payments.aws.items import Item, expires_at, serialize
from payments.aws.keys import outcomes_key
from payments.batches.progress import NotPaidRow
from payments.core.content import Content, RefundContent, RowContent
from payments.core.faults import FieldError
from payments.core.payment import RowOutcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_REFUNDS: Final = "refunds"


def not_paid_item(content: RowContent, outcome: str, fault: FieldError | None = None) -> Item:
    """Return what an item tells of a row that is not paid, besides its key and its end."""
    item: Item = {"outcome": outcome, **content.to_dict()}
    if fault is not None:
        item |= {"field": fault.field, "code": fault.code, "message": fault.message}
    return item


def not_paid_row(item: Item) -> NotPaidRow:
    """Return the row that :func:`not_paid_item` describes, from a whole item."""
    kind = RefundContent if "refund_id" in item else Content
    fault = None
    if "code" in item:
        fault = FieldError(item["field"], item["code"], item["message"])
    return NotPaidRow(
        line=item["sequence"],
        content=kind.from_dict(item),
        outcome=item["outcome"],
        fault=fault,
    )


def counted(
    table: str,
    batch_id: str,
    payment_id: str,
    outcome: RowOutcome,
    at: str,
    refunded: Mapping[str, int] | None = None,
) -> "TransactWriteItemTypeDef":
    """Return the count of a row that ends, and of what it refunds: see :func:`refunds_attribute`."""
    numbers = {outcome.value: 1, **(refunded or {})}
    added = [f"#n{at_} :n{at_}" for at_ in range(len(numbers))]
    return {
        "Update": {
            "TableName": table,
            "Key": serialize(outcomes_key(batch_id, payment_id)),
            "UpdateExpression": f"SET expires_at = :expires_at ADD {', '.join(added)}",
            "ExpressionAttributeNames": {f"#n{i}": name for i, name in enumerate(numbers)},
            "ExpressionAttributeValues": serialize(
                {":expires_at": expires_at(at)}
                | {f":n{i}": number for i, number in enumerate(numbers.values())}
            ),
        }
    }


def refunds_attribute(currency: str, exponent: int) -> str:
    """Return the attribute in which refunds of a currency are summed, in its minor units."""
    return f"{_REFUNDS}#{currency}#{exponent}"


def refunds_of(item: Mapping[str, Any]) -> dict[tuple[str, int], int]:
    """Return the sums of refunds that an item of outcomes holds, by currency and decimals."""
    sums: dict[tuple[str, int], int] = {}
    for name, minor in item.items():
        kind, _, money = name.partition("#")
        if kind == _REFUNDS and money:
            currency, _, exponent = money.partition("#")
            sums[currency, int(exponent)] = minor
    return sums
