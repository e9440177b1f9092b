"""Reads the expressions of alarms and dashboards by the grammar that CloudWatch documents.

Metric math: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
Search: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
CloudWatch takes any text for an expression, and shows nothing where it cannot read it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

type Kind = Literal["S", "TS", "TS[]"]
"""A scalar, a time series, or many of them."""

_STATISTICS: Final = re.compile(r"Average|Sum|Minimum|Maximum|SampleCount|p\d{1,2}(\.\d+)?")
_NAME: Final = re.compile(r"[A-Za-z0-9]+(?:/[A-Za-z0-9]+)*")
"""A name that needs no quotes: letters and digits; a slash only as in AWS's own namespaces."""

_SEARCH: Final = re.compile(r"'([^']*)'\s*,\s*'([^']*)'\s*(?:,\s*(\d+)\s*)?\)")
_TOKEN: Final = re.compile(r"\s*(?:([A-Za-z_]\w*)|(\d+(?:\.\d+)?)|([-+*/^(),\[\]]))")
_TERM: Final = re.compile(
    r"\s*(?:(?P<operator>AND|OR|NOT)\b|(?P<bracket>[()])"
    r'|(?:(?P<designator>"[^"]+"|:aws\.AccountId|[A-Za-z0-9]+)\s*=\s*)?'
    r'(?P<value>"[^"]+"|[A-Za-z0-9/]+))'
)


class NotAnExpressionError(ValueError):
    """CloudWatch would not read the expression; says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search: the namespace, the dimensions that it names, and what each term is to be."""

    namespace: str
    dimensions: tuple[str, ...]
    terms: Mapping[str, str]
    statistic: str


def parse_search(text: str) -> Search:
    """Read one ``SEARCH('{Namespace, Dimension, ...} terms', 'Statistic')``.

    Raises:
        NotAnExpressionError: it is not one.
    """
    match = re.fullmatch(r"SEARCH\(\s*(.*)", text, re.DOTALL)
    arguments = match and _SEARCH.fullmatch(match[1])
    if not arguments:
        raise NotAnExpressionError(f"not SEARCH('query', 'Statistic'): {text}")
    query, statistic = arguments[1].strip(), arguments[2]
    if not _STATISTICS.fullmatch(statistic):
        raise NotAnExpressionError(f"{statistic!r} is no statistic: {text}")
    schema = re.match(r"\{([^}]*)\}", query)
    if not schema:
        raise NotAnExpressionError(f"no metric schema in braces: {text}")
    namespace, *dimensions = (_schema_name(name.strip()) for name in schema[1].split(","))
    terms = _search_terms(query[schema.end() :])
    if strangers := set(terms) - {"MetricName", "Namespace", *dimensions}:
        raise NotAnExpressionError(f"the schema has no {', '.join(strangers)}: {text}")
    return Search(
        namespace=namespace, dimensions=tuple(dimensions), terms=terms, statistic=statistic
    )


def _schema_name(name: str) -> str:
    if re.fullmatch(r'"[^"]+"', name):
        return name[1:-1]
    if not _NAME.fullmatch(name):
        raise NotAnExpressionError(f"{name!r} must stand in double quotes")
    return name


def _search_terms(text: str) -> dict[str, str]:
    terms: dict[str, str] = {}
    at, depth = 0, 0
    while text[at:].strip():
        match = _TERM.match(text, at)
        if not match:
            raise NotAnExpressionError(f"not a search term: {text[at:]!r}")
        at = match.end()
        depth += {"(": 1, ")": -1}.get(match["bracket"] or "", 0)
        if depth < 0:
            break
        if match["designator"]:
            terms[match["designator"].strip('"')] = match["value"].strip('"')
    if depth:
        raise NotAnExpressionError(f"brackets do not match: {text!r}")
    return terms


# What each function that we may use takes and gives.
_FUNCTIONS: Final[Mapping[str, Mapping[tuple[Kind, ...], Kind]]] = {
    "FILL": {("TS", "S"): "TS", ("TS[]", "S"): "TS[]", ("TS", "TS"): "TS", ("TS[]", "TS"): "TS[]"},
    "MAX": {("TS",): "S", ("TS[]",): "TS"},
    "METRICS": {(): "TS[]"},
    "MIN": {("TS",): "S", ("TS[]",): "TS"},
    "RUNNING_SUM": {("TS",): "TS", ("TS[]",): "TS[]"},
    "SUM": {("TS",): "S", ("TS[]",): "TS"},
}


def kind_of(text: str, ids: Sequence[str]) -> Kind:
    """Return what an expression of metric math gives, with ``ids`` as the metrics beside it.

    Raises:
        NotAnExpressionError: CloudWatch would not read it.
    """
    if text.lstrip().startswith("SEARCH"):
        parse_search(text)
        return "TS[]"
    return _MetricMath(text, ids).kind()


class _MetricMath:
    """A parser by recursive descent: sums of products of powers of operands."""

    def __init__(self, text: str, ids: Sequence[str]) -> None:
        self._text, self._ids = text, ids
        self._tokens = self._read()

    def _read(self) -> list[str]:
        tokens, at = [], 0
        text = self._text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if not match:
                raise NotAnExpressionError(f"not metric math from {text[at:]!r} on: {text}")
            tokens.append(match[0].strip())
            at = match.end()
        return [*tokens, ""]

    def kind(self) -> Kind:
        found = self._binary(0)
        self._take("")
        return found

    def _take(self, *wanted: str) -> str:
        token = self._tokens[0]
        if wanted and token not in wanted:
            raise NotAnExpressionError(
                f"{token or 'the end'!r} where {' or '.join(map(repr, wanted))} must be: {self._text}"
            )
        del self._tokens[0]
        return token

    def _binary(self, level: int) -> Kind:
        operators = (("+", "-"), ("*", "/"), ("^",))
        if level == len(operators):
            return self._operand()
        left = self._binary(level + 1)
        while self._tokens[0] in operators[level]:
            self._take()
            right = self._binary(level + 1)
            if left == right == "TS[]":
                raise NotAnExpressionError(f"two lists of series do not combine: {self._text}")
            left = max(left, right, key=("S", "TS", "TS[]").index)
        return left

    def _operand(self) -> Kind:
        token = self._take()
        if token == "-":
            return self._operand()
        if token == "(":
            found = self._binary(0)
            self._take(")")
            return found
        if token == "[":
            self._several("]")
            return "TS[]"
        if re.fullmatch(r"\d.*", token):
            return "S"
        if self._tokens[0] == "(":
            self._take()
            return self._called(token, tuple(self._several(")")))
        if token not in self._ids or not re.fullmatch(r"[a-z]\w*", token):
            raise NotAnExpressionError(f"no metric has the id {token!r}: {self._text}")
        return "TS"

    def _several(self, end: str) -> list[Kind]:
        found: list[Kind] = []
        if self._tokens[0] == end:
            self._take()
            return found
        while True:
            found.append(self._binary(0))
            if self._take(",", end) == end:
                return found

    def _called(self, name: str, arguments: tuple[Kind, ...]) -> Kind:
        try:
            return _FUNCTIONS[name][arguments]
        except KeyError:
            raise NotAnExpressionError(
                f"{name} takes no {', '.join(arguments) or 'nothing'}: {self._text}"
            ) from None
