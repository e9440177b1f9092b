"""Reads what the stack synthesised."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

POLICY_ATTRIBUTES: Mapping[str, str] = {
    "aws_api_gateway_rest_api_policy": "policy",
    "aws_dynamodb_resource_policy": "policy",
    "aws_iam_role": "assume_role_policy",
    "aws_iam_role_policy": "policy",
    "aws_kms_key": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_sns_topic": "policy",
    "aws_sqs_queue": "policy",
}
"""Where each type of resource keeps its policy."""


@dataclass(frozen=True)
class Resource:
    """One resource: its attributes by name."""

    type: str
    id: str
    attributes: Mapping[str, Any]

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    @property
    def address(self) -> str:
        return f"{self.type}.{self.id}"

    @property
    def statements(self) -> list[dict[str, Any]]:
        """The statements of its policy."""
        document = json.loads(self[POLICY_ATTRIBUTES[self.type]])
        statements: list[dict[str, Any]] = document["Statement"]
        return statements

    def refers_to(self, other: "Resource") -> bool:
        return f"${{{other.address}." in json.dumps(self.attributes)


@dataclass(frozen=True)
class Stack:
    """One synthesised environment."""

    suffix: str
    folder: Path

    @cached_property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "cdk.tf.json").read_text())
        return document

    @property
    def protected(self) -> bool:
        return self.suffix == "prod"

    def name(self, base: str) -> str:
        return f"{base}-{self.suffix}"

    @property
    def resources(self) -> Iterator[Resource]:
        for type_, resources in self.document["resource"].items():
            for id_, attributes in resources.items():
                yield Resource(type_, id_, attributes)

    def all(self, type_: str) -> list[Resource]:
        """Return every resource of a type, of which there must be one at least."""
        found = [resource for resource in self.resources if resource.type == type_]
        assert found, f"there is no {type_}"
        return found

    def one(self, type_: str, **attributes: object) -> Resource:
        """Return the one resource of a type that has these attributes."""
        found = [
            resource
            for resource in self.all(type_)
            if all(resource.attributes.get(name) == value for name, value in attributes.items())
        ]
        assert len(found) == 1, f"{len(found)} of {type_} have {attributes}"
        return found[0]

    def function(self, short_name: str) -> Resource:
        return self.one("aws_lambda_function", function_name=self.name(short_name))

    def alias(self, short_name: str) -> Resource:
        """Return the alias by which a function is invoked."""
        reference = f"${{{self.function(short_name).address}.function_name}}"
        return self.one("aws_lambda_alias", function_name=reference)

    def workflow(self, short_name: str) -> Resource:
        return self.one("aws_sfn_state_machine", name=self.name(short_name))

    @property
    def with_policy(self) -> Iterator[Resource]:
        for resource in self.resources:
            if resource.attributes.get(POLICY_ATTRIBUTES.get(resource.type, "")):
                yield resource


def denies_plain_http(statement: Mapping[str, Any]) -> bool:
    return {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }.items() <= statement.items()
