"""The policies of ``docs/policies``, with their placeholders filled in."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs/policies"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))

EXAMPLE = {
    "partition": "aws",
    "region": "eu-central-1",
    "account": "123456789012",
    "suffix": "dev",
    "api": "a1b2c3d4e5",
    "key": "1234abcd-12ab-34cd-56ef-1234567890ab",
    "state_bucket": "acme-terraform-state",
}
"""Every placeholder, with a value as AWS has it."""


def rendered(name: str, **values: str) -> dict[str, Any]:
    """Return a policy document with these values, and example ones for what is not given."""
    text = (FOLDER / f"{name}.json").read_text()
    for placeholder, value in (EXAMPLE | values).items():
        text = text.replace(f"{{{placeholder}}}", value)
    document: dict[str, Any] = json.loads(text)
    return document


def actions(*names: str) -> set[str]:
    """Return every action that these policies allow."""
    return {
        action
        for name in names
        for statement in rendered(name)["Statement"]
        for action in statement["Action"]
    }
