"""DynamoDB in memory, as much of it as the payment system uses.

moto is faithful but copies every table for each transaction (6 ms a call), so the simulator would
see a fifth of the seeds. This one is checked against moto by ``test_dynamodb.py``, operation by
operation, and by whole runs that must leave the same trace over either. What it does not know it
refuses with :class:`SimulatorError`; it never guesses.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NoReturn

from payments.aws.operations import DUE_INDEX
from payments.aws.payments import HELD_INDEX, OPEN_INDEX
from tests.simulation.scheduler import SimulatorError

type Value = dict[str, Any]
type Item = dict[str, Value]
type Names = dict[str, str]
type Condition = Callable[[Item, Names, Item], bool]
type Change = Callable[[Item, Names, Item], None]

PAGE_ITEMS: Final = 4
"""How many items a page of a query holds: few, so that whoever forgets the next page is seen."""

INDEXES: Final = {
    OPEN_INDEX: ("open_shard", "accepted_at"),
    HELD_INDEX: ("held_shard", "capture_before"),
    DUE_INDEX: ("due_shard", "due_at"),
}
"""The keys of each index. It never lags here: who reads it looks each payment up in the table."""


class AwsError(Exception):
    """An error answer of an AWS service."""

    def __init__(self, code: str, message: str = "", *, status: int = 400, **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


class InMemoryDynamoDB:
    """Tables of items in wire form (``{"S": …}``), by their key attributes."""

    def __init__(
        self, keys: dict[str, tuple[str, ...]], epoch: Callable[[], float] = lambda: 0.0
    ) -> None:
        """Make empty tables; ``epoch`` says the time in seconds since 1970, for what expires."""
        self._keys = keys
        self._epoch = epoch
        self._tables: dict[str, dict[tuple[str, ...], Item]] = {table: {} for table in keys}
        self.on_store: Callable[[str, Item, Item], None] = lambda _table, _before, _after: None
        """Is told of every write: table, item before (empty if there was none), item after."""

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one operation whole, or raise :class:`AwsError` and change nothing."""
        operations = {
            "BatchGetItem": self._batch_get,
            "GetItem": self._get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "Query": self._query,
            "Scan": self._scan,
            "TransactWriteItems": self._transact,
        }
        if operation not in operations:
            raise SimulatorError(f"DynamoDB {operation} is not simulated")
        return operations[operation](request)

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        _only(request, "Key", "ConsistentRead")
        _must_be_consistent(request)
        item = self._stored(request["TableName"], request["Key"])
        return {"Item": item} if item else {}

    def _batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        [(table, wanted)] = request["RequestItems"].items()
        _only(wanted, "Keys", "ConsistentRead", "ProjectionExpression")
        _must_be_consistent(wanted)
        names = wanted["ProjectionExpression"].split(", ")
        stored = [self._stored(table, key) for key in wanted["Keys"]]
        items = [{name: item[name] for name in names if name in item} for item in stored if item]
        return {"Responses": {table: items}, "UnprocessedKeys": {}}

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        _only(request, "Item", *_CONDITION)
        self._check(request, request["Item"])
        self._store(request["TableName"], request["Item"])
        return {}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        _only(request, "Key", "UpdateExpression", "ReturnValues", *_CONDITION)
        self._check(request, request["Key"])
        before = self._stored(request["TableName"], request["Key"])
        item = self._updated(request)
        self._store(request["TableName"], item)
        match request.get("ReturnValues", "NONE"):
            case "NONE":
                return {}
            case "ALL_NEW":
                return {"Attributes": item}
            case "UPDATED_NEW":
                # Of an attribute that was set to what it was, nobody asks.
                changed = {name: to for name, to in item.items() if before.get(name) != to}
                return {"Attributes": changed}
            case wanted:
                raise SimulatorError(f"ReturnValues {wanted} is not simulated")

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        _only(
            request,
            "IndexName",
            "KeyConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ConsistentRead",
            "ExclusiveStartKey",
            "Limit",
        )
        table = request["TableName"]
        if "IndexName" in request:
            names = (*INDEXES[request["IndexName"]], *self._keys[table])
        else:
            _must_be_consistent(request)
            names = self._keys[table]
        after = _sort_key(names, request["ExclusiveStartKey"]) if _is_next_page(request) else ()
        found = sorted(
            (_sort_key(names, item), item)
            for item in self._table(table).values()
            if not self._has_expired(item)
            if _holds(request, request["KeyConditionExpression"], item)
            if _sort_key(names, item) > after
        )
        items = [item for _, item in found[:PAGE_ITEMS]]
        if "IndexName" in request:
            # The index keeps the keys only.
            items = [{name: item[name] for name in sorted(names)} for item in items]
        answer = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if len(found) > PAGE_ITEMS:
            answer["LastEvaluatedKey"] = {name: items[-1][name] for name in names}
        return answer

    def _scan(self, request: dict[str, Any]) -> dict[str, Any]:
        _only(request, "ConsistentRead")
        items = list(self._sorted(request["TableName"]))
        return {"Items": items, "Count": len(items), "ScannedCount": len(items)}

    def _transact(self, request: dict[str, Any]) -> dict[str, Any]:
        actions = [next(iter(entry.items())) for entry in request["TransactItems"]]
        targets = [
            (
                action["TableName"],
                self._key(action["TableName"], action.get("Item", action.get("Key"))),
            )
            for _, action in actions
        ]
        if len(set(targets)) != len(targets):
            raise AwsError(
                "ValidationException",
                "Transaction request cannot include multiple operations on one item",
            )
        reasons: list[dict[str, Any]] = []
        for kind, action in actions:
            subject = {
                "Put": ("Item", *_CONDITION),
                "Update": ("Key", "UpdateExpression", *_CONDITION),
            }
            if kind not in subject:
                raise SimulatorError(f"{kind} in a transaction is not simulated")
            _only(action, *subject[kind])
            try:
                self._check(action, action.get("Item", action.get("Key")))
            except AwsError as error:
                reasons.append(
                    {"Code": "ConditionalCheckFailed", "Message": error.message, **error.fields}
                )
            else:
                reasons.append({"Code": "None"})
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = (
                "Transaction cancelled, please refer cancellation reasons for specific reasons"
                f" [{codes}]"
            )
            raise AwsError("TransactionCanceledException", message, CancellationReasons=reasons)
        for kind, action in actions:
            self._store(
                action["TableName"], action["Item"] if kind == "Put" else self._updated(action)
            )
        return {}

    def _check(self, action: dict[str, Any], key: Item) -> None:
        stored = self._stored(action["TableName"], key)
        condition = action.get("ConditionExpression")
        if condition is None or _holds(action, condition, stored):
            return
        shown: dict[str, Any] = {}
        if stored and action.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            shown = {"Item": stored}
        raise AwsError("ConditionalCheckFailedException", "The conditional request failed", **shown)

    def _updated(self, action: dict[str, Any]) -> Item:
        before = self._stored(action["TableName"], action["Key"])
        after = {**action["Key"], **before}
        names, values = _attributes(action)
        for change in _changes(action["UpdateExpression"]):
            change(after, names, values)
        return after

    def _stored(self, table: str, key: Item) -> Item:
        item = self._table(table).get(self._key(table, key), {})
        return {} if self._has_expired(item) else item

    def _has_expired(self, item: Item) -> bool:
        """Say whether an item may be gone; DynamoDB takes its time, and here it is gone at once."""
        return "expires_at" in item and int(item["expires_at"]["N"]) <= self._epoch()

    def _store(self, table: str, item: Item) -> None:
        self.on_store(table, self._stored(table, item), item)
        self._table(table)[self._key(table, item)] = item

    def _table(self, name: str) -> dict[tuple[str, ...], Item]:
        if name not in self._tables:
            raise AwsError("ResourceNotFoundException", f"no table {name}")
        return self._tables[name]

    def _key(self, table: str, item: Item) -> tuple[str, ...]:
        return _sort_key(self._keys[table], item)

    def _sorted(self, table: str) -> Iterator[Item]:
        for _, item in sorted(self._table(table).items(), key=lambda entry: entry[0]):
            if not self._has_expired(item):
                yield item


def _sort_key(names: tuple[str, ...], item: Item) -> tuple[str, ...]:
    # Numbers are zero-padded so that keys sort as they do.
    return tuple(
        value if kind == "S" else value.zfill(20)
        for name in names
        for kind, value in item[name].items()
    )


_CONDITION: Final = (
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
)


def _only(request: dict[str, Any], *known: str) -> None:
    unknown = set(request) - {"TableName", *known}
    if unknown:
        raise SimulatorError(f"DynamoDB parameters not simulated: {sorted(unknown)}")


def _is_next_page(request: dict[str, Any]) -> bool:
    return "ExclusiveStartKey" in request


def _must_be_consistent(request: dict[str, Any]) -> None:
    # Whoever may read old items needs a simulation that returns some.
    if not request.get("ConsistentRead"):
        raise SimulatorError("only strongly consistent reads are simulated")


def _attributes(request: dict[str, Any]) -> tuple[Names, Item]:
    return (
        request.get("ExpressionAttributeNames", {}),
        request.get("ExpressionAttributeValues", {}),
    )


def _holds(request: dict[str, Any], expression: str, item: Item) -> bool:
    return _condition(expression)(item, *_attributes(request))


_TOKEN: Final = re.compile(r"\s*(<>|<=|>=|[=<>(),+-]|[#:]?\w+)")


class _Parser:
    """A recursive descent over the tokens of one expression."""

    def __init__(self, expression: str) -> None:
        self.tokens = _TOKEN.findall(expression)
        if "".join(self.tokens) != re.sub(r"\s", "", expression):
            raise SimulatorError(f"expression not simulated: {expression}")
        self.position = 0

    @property
    def ahead(self) -> str:
        """The next token; empty at the end."""
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        """Return the next token and go on."""
        token = self.ahead
        if not token or (expected is not None and token.upper() != expected):
            self.refuse()
        self.position += 1
        return token

    def takes(self, *words: str) -> bool:
        """Go on if the next token is one of these."""
        if self.ahead.upper() in words:
            self.position += 1
            return True
        return False

    def refuse(self) -> NoReturn:
        """Say that an expression is beyond this simulation."""
        raise SimulatorError(f"expression not simulated: {' '.join(self.tokens)}")


@lru_cache
def _condition(expression: str) -> Condition:
    parser = _Parser(expression)
    condition = _disjunction(parser)
    if parser.ahead:
        parser.refuse()
    return condition


def _disjunction(parser: _Parser) -> Condition:
    parts = [_conjunction(parser)]
    while parser.takes("OR"):
        parts.append(_conjunction(parser))
    return lambda *given: any(part(*given) for part in parts)


def _conjunction(parser: _Parser) -> Condition:
    parts = [_predicate(parser)]
    while parser.takes("AND"):
        parts.append(_predicate(parser))
    return lambda *given: all(part(*given) for part in parts)


def _predicate(parser: _Parser) -> Condition:
    if parser.takes("NOT"):
        negated = _predicate(parser)
        return lambda *given: not negated(*given)
    if parser.takes("("):
        inner = _disjunction(parser)
        parser.take(")")
        return inner
    word = parser.take()
    if word in {"attribute_exists", "attribute_not_exists"}:
        parser.take("(")
        name = parser.take()
        parser.take(")")
        present = word == "attribute_exists"
        return lambda item, names, _: (names.get(name, name) in item) is present
    if word == "begins_with":
        parser.take("(")
        name = parser.take()
        parser.take(",")
        start = parser.take()
        parser.take(")")

        def begins(item: Item, names: Names, values: Item) -> bool:
            value, prefix = (_read(each, item, names, values) for each in (name, start))
            return value is not None and prefix is not None and value["S"].startswith(prefix["S"])

        return begins
    operator, right = parser.take(), parser.take()
    if operator not in _COMPARISONS:
        parser.refuse()
    compare = _COMPARISONS[operator]

    def holds(item: Item, names: Names, values: Item) -> bool:
        left_value, right_value = (
            _read(word, item, names, values),
            _read(right, item, names, values),
        )
        if left_value is None or right_value is None:
            return False
        return compare(_comparable(left_value), _comparable(right_value))

    return holds


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left[0] == right[0] and left[1] < right[1],
    "<=": lambda left, right: left[0] == right[0] and left[1] <= right[1],
    ">": lambda left, right: left[0] == right[0] and left[1] > right[1],
    ">=": lambda left, right: left[0] == right[0] and left[1] >= right[1],
}


def _read(word: str, item: Item, names: Names, values: Item) -> Value | None:
    return values[word] if word.startswith(":") else item.get(names.get(word, word))


def _comparable(value: Value) -> tuple[str, Any]:
    kind, content = next(iter(value.items()))
    return kind, Decimal(content) if kind == "N" else content


@lru_cache
def _changes(expression: str) -> tuple[Change, ...]:
    parser = _Parser(expression)
    clauses = {"SET": _assignment, "REMOVE": _removal, "ADD": _addition}
    changes = []
    while parser.ahead:
        clause = parser.take().upper()
        if clause not in clauses:
            parser.refuse()
        changes.append(clauses[clause](parser))
        while parser.takes(","):
            changes.append(clauses[clause](parser))
    return tuple(changes)


def _assignment(parser: _Parser) -> Change:
    target = parser.take()
    parser.take("=")
    source = parser.take()
    if source != "if_not_exists":
        added = parser.take() if parser.takes("+") else None

        def assign(item: Item, names: Names, values: Item) -> None:
            value = _read(source, item, names, values)
            if value is None:
                raise AwsError("ValidationException", "an attribute of the update does not exist")
            if added is not None:
                value = {"N": str(Decimal(value["N"]) + Decimal(values[added]["N"]))}
            item[names.get(target, target)] = value

        return assign
    parser.take("(")
    kept = parser.take()
    parser.take(",")
    otherwise = parser.take()
    parser.take(")")

    def assign_if_missing(item: Item, names: Names, values: Item) -> None:
        value = _read(kept, item, names, values) or _read(otherwise, item, names, values)
        if value is not None:
            item[names.get(target, target)] = value

    return assign_if_missing


def _removal(parser: _Parser) -> Change:
    target = parser.take()

    def remove(item: Item, names: Names, _values: Item) -> None:
        item.pop(names.get(target, target), None)

    return remove


def _addition(parser: _Parser) -> Change:
    target, amount = parser.take(), parser.take()

    def add(item: Item, names: Names, values: Item) -> None:
        before = item.get(names.get(target, target), {"N": "0"})
        total = Decimal(before["N"]) + Decimal(values[amount]["N"])
        item[names.get(target, target)] = {"N": str(total)}

    return add
