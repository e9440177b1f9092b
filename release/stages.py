"""The stages that a release goes through, and where each of them is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

STAGES: Final = ("dev", "staging", "prod")
"""In the order in which a release reaches them."""

FOLDER: Final = Path(__file__).parent / "stages"


def variables(stage: str) -> Mapping[str, str]:
    """Return the environment variables of a stage, as ``release/stages/{stage}.env`` has them.

    The pipeline reads the same file, line by line, so that a value is written without quotes.
    """
    lines = (FOLDER / f"{stage}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
