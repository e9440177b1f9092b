"""The bracket form of Stripe's requests, and the parameters that an endpoint takes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from local.stripe_double.errors import invalid

type Pairs = Sequence[tuple[str, str]]
"""A form or a query as it was sent: names such as ``metadata[payment_id]``, and texts."""

_NAME: Final = re.compile(r"([a-z_]+)((?:\[[^\[\]]*\])*)")
_METADATA_KEYS, _METADATA_KEY, _METADATA_VALUE = 50, 40, 500


@dataclass(frozen=True, slots=True)
class Parameter:
    """What one parameter may be; ``choices`` are those of a text or of a list's members."""

    kind: Literal["text", "integer", "flag", "list", "metadata", "range"] = "text"
    required: bool = False
    choices: frozenset[str] | None = None


TEXT: Final = Parameter()
INTEGER: Final = Parameter("integer")
FLAG: Final = Parameter("flag")
METADATA: Final = Parameter("metadata")
PAGING: Final[Mapping[str, Parameter]] = {
    "limit": INTEGER,
    "starting_after": TEXT,
    "ending_before": TEXT,
}
EXPAND: Final[Mapping[str, Parameter]] = {"expand": Parameter("list")}


def one_of(*choices: str) -> Parameter:
    """Return a text that must be one of these."""
    return Parameter(choices=frozenset(choices))


def checked(pairs: Pairs, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the values that were sent, by parameter, each of its kind.

    Raises:
        StripeError: a parameter is unknown, missing or malformed; nothing of it is kept.
    """
    sent = _nested(pairs)
    for name in sent:
        if name not in parameters:
            raise invalid(
                f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )
    for name, parameter in parameters.items():
        if parameter.required and name not in sent:
            raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return {name: _value(name, value, parameters[name]) for name, value in sent.items()}


def _nested(pairs: Pairs) -> dict[str, Any]:
    """Return texts, and by their keys what stands in brackets; lists are keyed by position."""
    nested: dict[str, Any] = {}
    for name, text in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise invalid(f"Received unknown parameter: {name}", code="parameter_unknown")
        keys = re.findall(r"\[([^\[\]]*)\]", match[2])
        if not keys:
            nested[match[1]] = text
            continue
        inner = nested.setdefault(match[1], {})
        if len(keys) > 1 or not isinstance(inner, dict):
            raise invalid(f"Invalid {match[1]}", param=match[1])
        inner[keys[0] or str(len(inner))] = text
    return nested


def _value(name: str, value: Any, parameter: Parameter) -> Any:
    nested = parameter.kind in ("list", "metadata")
    if parameter.kind != "range" and value != "" and nested is isinstance(value, str):
        raise invalid(f"Invalid {name}", param=name)
    match parameter.kind:
        case "integer":
            return _integer(name, value)
        case "flag":
            return _flag(name, value)
        case "list":
            members = list(value.values()) if value else []
            return [
                _choice(f"{name}[{index}]", each, parameter) for index, each in enumerate(members)
            ]
        case "metadata":
            return _metadata(value or {})
        case "range":
            return _range(name, value)
        case _:
            return _choice(name, value, parameter)


def _flag(name: str, value: Any) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def _range(name: str, value: Any) -> dict[str, int]:
    if isinstance(value, str):
        return {"gte": _integer(name, value), "lte": _integer(name, value)}
    return {each: _integer(f"{name}[{each}]", text) for each, text in value.items()}


def _choice(name: str, value: Any, parameter: Parameter) -> str:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", param=name)
    if value == "":
        raise invalid(
            f"You passed an empty string for '{name}'.", code="parameter_invalid_empty", param=name
        )
    if parameter.choices is not None and value not in parameter.choices:
        allowed = ", ".join(sorted(parameter.choices))
        raise invalid(f"Invalid {name}: must be one of {allowed}", param=name)
    return value


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]+", value):
        raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def _metadata(sent: Mapping[str, str]) -> dict[str, str]:
    if len(sent) > _METADATA_KEYS:
        raise invalid(f"Metadata may have at most {_METADATA_KEYS} keys.", param="metadata")
    for key, value in sent.items():
        if len(key) > _METADATA_KEY or len(value) > _METADATA_VALUE:
            raise invalid(
                f"Metadata keys may have {_METADATA_KEY} and values {_METADATA_VALUE} characters.",
                param="metadata",
            )
    return dict(sent)
