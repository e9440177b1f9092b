"""``asl-validator`` over the state machines of an environment."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from local.workspace import REPOSITORY

PROGRAM: Final = REPOSITORY / "node_modules/.bin/asl-validator"


def write_definitions(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write each state machine's definition to a file of its own."""
    files = []
    for name, machine in document["resource"].get("aws_sfn_state_machine", {}).items():
        file = folder / f"{name}.asl.json"
        file.write_text(machine["definition"])
        files.append(file)
    return files


def faults_of(file: Path) -> str:
    """Return what is wrong with a definition; nothing if it is valid."""
    ran = subprocess.run(
        [str(PROGRAM), "--json-path", str(file)], capture_output=True, text=True, check=False
    )
    return "" if ran.returncode == 0 else (ran.stdout + ran.stderr).strip() or "not valid"
