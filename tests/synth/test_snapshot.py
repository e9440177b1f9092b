"""The synthesised Terraform as it was accepted last: `make snapshots` accepts today's."""

import json
import re
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

# What follows from the functions' code and dependencies, and so is not the stack's to pin.
PLACEHOLDERS = (
    (re.compile(r"assets/(\w+)_[0-9A-F]{8}/[0-9a-f]{64}/(\w+)-[0-9a-f]{16}\.zip"), "<zip: \\2>"),
    (re.compile(r"^[A-Za-z0-9+/]{43}=$"), "<hash of the zip>"),
    (re.compile(r"^[0-9a-f]{64}$"), "<hash of the API>"),
)


def test_the_synthesised_terraform_is_the_accepted_one(
    stack: Stack, snapshot: SnapshotAssertion
) -> None:
    assert readable(stack.document) == snapshot.use_extension(JSONSnapshotExtension)


def readable(value: Any) -> Any:
    """Open JSON within strings, leave out CDKTF's notes, and put placeholders for hashes."""
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items() if key != "//"}
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, str):
        if value.startswith('{"'):
            return readable(json.loads(value))
        for pattern, placeholder in PLACEHOLDERS:
            value = pattern.sub(placeholder, value)
    return value
