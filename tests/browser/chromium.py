"""A Chromium for tests: the machine's own, or the one that an npm package carries."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_UNWANTED: Final = frozenset(
    {
        # What the package switches off and people's browsers have on.
        *("--disable-web-security", "--allow-running-insecure-content"),
        # A browser of one process ends with its first context.
        *("--single-process", "--in-process-gpu", "--no-zygote"),
    }
)

_UNPACK: Final = """
import chromium from '@sparticuz/chromium';
console.log(JSON.stringify({path: await chromium.executablePath(), args: chromium.args}));
"""


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser's program and the arguments that it needs."""

    path: str
    args: list[str]


def find() -> Chromium:
    """Return ``$CHROME``, else a browser on the PATH, else the one in ``node_modules``.

    Raises:
        FileNotFoundError: there is none; ``make install`` installs the last one.
    """
    named = os.environ.get("CHROME") or next(filter(None, map(shutil.which, NAMES)), None)
    if named:
        return Chromium(named, [])
    if not (ROOT / "node_modules/@sparticuz/chromium").is_dir():
        raise FileNotFoundError(
            "no Chromium: run make install (Linux x86-64), or set CHROME to one"
        )
    unpacked = subprocess.run(
        ["node", "--no-warnings", "--input-type=module", "--eval", _UNPACK],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(unpacked.stdout.splitlines()[-1])
    return Chromium(told["path"], [each for each in told["args"] if each not in _UNWANTED])
