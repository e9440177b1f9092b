"""The OpenAPI document, read so that requests and answers can be held against it."""

import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml

DOCUMENT: Final = Path(__file__).parents[2] / "openapi.yaml"

_URI: Final = "urn:payments:openapi"
_VERBS: Final = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "trace"})


class Contract:
    """What the document promises, operation by operation (`POST /payments`)."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    @cached_property
    def operations(self) -> dict[str, dict[str, Any]]:
        """Every operation by name."""
        return {
            f"{verb.upper()} {route}": operation
            for route, item in self.document["paths"].items()
            for verb, operation in item.items()
            if verb in _VERBS
        }

    def responses(self, operation: str) -> dict[int, dict[str, Any]]:
        """Return every response of an operation by status."""
        return {
            int(status): self.resolve(response)
            for status, response in self.operations[operation]["responses"].items()
        }

    def answers(self, operation: str) -> Iterator[tuple[str, int, str]]:
        """Yield each answer that an operation documents: operation, status, type of problem.

        What is no problem has the type "".
        """
        for status, response in self.responses(operation).items():
            content = response["content"].get("application/problem+json")
            if content is None:
                yield operation, status, ""
                continue
            (_, own) = content["schema"]["allOf"]
            kind = own["properties"]["type"]
            for each in kind.get("enum", [kind.get("const")]):
                yield operation, status, each

    @property
    def codes(self) -> dict[str, str]:
        """Every code of an error, and what it means."""
        return self._meanings("ErrorCode")

    @property
    def reasons(self) -> dict[str, str]:
        """Every code of a reason why a batch was refused or failed, and what it means."""
        return self._meanings("BatchReasonCode")

    def _meanings(self, schema: str) -> dict[str, str]:
        alternatives = self.resolve(f"#/components/schemas/{schema}")["oneOf"]
        return {each["const"]: each["description"] for each in alternatives}

    def resolve(self, node: Any) -> Any:
        """Follow a pointer, or a node that is a reference, to what it stands for."""
        pointer = node if isinstance(node, str) else node.get("$ref")
        if pointer is None:
            return node
        found: Any = self.document
        for part in pointer.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return self.resolve(found)

    def faults(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        """Return why a value is not as a schema of the document says; nothing if it is."""
        return [
            f"{'/'.join(map(str, error.instance_path))}: {error.message}"
            for error in self._validator(json.dumps(schema)).iter_errors(value)
        ]

    def answer_faults(
        self, operation: str, *, status: int, headers: Mapping[str, str], body: bytes | str
    ) -> list[str]:
        """Return what about an answer is not documented for an operation; nothing if all is."""
        response = self.responses(operation).get(status)
        if response is None:
            return [f"{operation} documents no {status}"]
        given = {name.lower(): value for name, value in headers.items()}
        faults = []
        for name, reference in response.get("headers", {}).items():
            header, text = self.resolve(reference), given.get(name.lower())
            if text is None:
                faults += [f"{name} is missing"] if header.get("required") else []
                continue
            number = header["schema"]["type"] == "integer" and text.isdecimal()
            faults += [
                f"{name}: {fault}"
                for fault in self.faults(header["schema"], int(text) if number else text)
            ]
        media_type = given.get("content-type", "none")
        content = response["content"].get(media_type)
        if content is None:
            return [*faults, f"{status} is documented as {set(response['content'])}: {media_type}"]
        value = json.loads(body)
        # A number is a problem's; payments, operations and batches have words.
        told = value.get("status")
        if isinstance(told, int) and told != status:
            faults.append(f"status {told} in a {status}")
        faults += self.faults(content["schema"], value)
        return faults + list(self.unknown_members(value, content["schema"]))

    def unknown_members(self, value: Any, schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
        """Yield every member of a value that the schema does not name.

        The schemas are open, since clients must bear what is added; our own answers must not.
        """
        parts = list(self._parts(schema))
        if isinstance(value, list):
            for item in value:
                for part in parts:
                    if "items" in part:
                        yield from self.unknown_members(item, part["items"], f"{at}/[]")
        if not isinstance(value, dict):
            return
        properties: dict[str, list[Any]] = {}
        for part in parts:
            for name, member in part.get("properties", {}).items():
                properties.setdefault(name, []).append(member)
        others = [
            part["additionalProperties"] for part in parts if part.get("additionalProperties")
        ]
        for name, member in value.items():
            documented = properties.get(name, others)
            if not documented:
                yield f"{at}/{name} is not documented"
            yield from self.unknown_members(member, {"allOf": documented}, f"{at}/{name}")

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield schema
        if "$ref" in schema:
            yield from self._parts(self.resolve(schema["$ref"]))
        for part in schema.get("allOf", ()):
            yield from self._parts(part)

    @cached_property
    def _registry(self) -> jsonschema_rs.Registry:
        dialect = "https://json-schema.org/draft/2020-12/schema"
        return jsonschema_rs.Registry([(_URI, {"$schema": dialect, **self.document})])

    @cache  # noqa: B019 - one contract lives as long as the tests
    def _validator(self, schema: str) -> jsonschema_rs.Draft202012Validator:
        absolute = json.loads(schema.replace('"#/', f'"{_URI}#/'))
        return jsonschema_rs.Draft202012Validator(
            absolute, registry=self._registry, validate_formats=True
        )


@cache
def load() -> Contract:
    """Return the contract in ``openapi.yaml``."""
    return Contract(yaml.safe_load(DOCUMENT.read_text()))
