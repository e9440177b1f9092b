"""Terraform's JSON as HCL, for scanners only: what is deployed is the JSON.

checkov's checks of IAM policies see nothing in JSON: they look for HCL's ``jsonencode``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

# In Terraform's JSON, a block and a map look the same; these are maps.
MAPS: Final = frozenset(
    {
        "dimensions",
        "message_attributes",
        "request_models",
        "request_parameters",
        "response_parameters",
        "response_templates",
        "tags",
        "triggers",
        "variables",
    }
)
POLICIES: Final = frozenset({"assume_role_policy", "policy"})
_REFERENCE: Final = re.compile(r"\$\{[\w.]*?([\w-]+)\.\w+\}")


def render(document: Mapping[str, Any]) -> str:
    """Return the resources of a ``cdk.tf.json`` as HCL."""
    lines: list[str] = []
    for type_, resources in document["resource"].items():
        for name, attributes in resources.items():
            lines.append(f'resource "{type_}" "{name}" {{')
            lines += _body(attributes, indent="  ")
            lines.append("}")
    return "\n".join(lines) + "\n"


def _body(attributes: Mapping[str, Any], *, indent: str) -> Iterator[str]:
    for name, value in attributes.items():
        if name == "//":
            continue
        if _is_block(name, value):
            for block in value if isinstance(value, list) else [value]:
                yield f"{indent}{name} {{"
                yield from _body(block, indent=f"{indent}  ")
                yield f"{indent}}}"
        elif name in POLICIES:
            # checkov gives up on a policy with a reference that it cannot follow.
            text = _REFERENCE.sub(r"arn:aws:scanned:::\1", value)
            yield f"{indent}{name} = jsonencode({_value(json.loads(text))})"
        elif name == "depends_on":
            yield f"{indent}{name} = [{', '.join(value)}]"
        else:
            yield f"{indent}{name} = {_value(value)}"


def _is_block(name: str, value: object) -> bool:
    if isinstance(value, dict):
        return name not in MAPS
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's strings, numbers and truth values are HCL's; references stand in strings in both.
    return json.dumps(value, ensure_ascii=False)
