"""``make console-pictures``: photograph the console for the documentation, at two widths."""

import hashlib
import io
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

from operations.console.page import FOLDER
from tests.browser import chromium, sample
from tests.unit.operations.console_server import served

DOCS: Final = chromium.ROOT / "docs"
PICTURES: Final = {
    "console.png": ("payment", 1280, 860, "light"),
    "console-payments.png": ("payments", 1280, 800, "light"),
    "console-file.png": ("file", 1280, 860, "dark"),
    "console-phone.png": ("payments", 390, 844, "light"),
    "console-refund-phone.png": ("refund", 390, 844, "dark"),
}
"""Which page is on a picture, at which width and height, in which scheme."""


FINGERPRINT: Final = "Console"
"""The key under which a picture's metadata hold the hash of the console that it shows."""


def fingerprint() -> str:
    """Return a hash of all that decides how the pictures look."""
    shown = [Path(sample.__file__), FOLDER / "views.py"]
    shown += sorted(path for part in ("templates", "static") for path in (FOLDER / part).iterdir())
    digest = hashlib.sha256()
    for path in shown:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Write the pictures."""
    found = chromium.find()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), "dev") as console,
        sync_playwright() as playwright,
    ):
        sample.fill(console, "dev")
        browser = playwright.chromium.launch(executable_path=found.path, args=found.args)
        for name, (page_name, width, height, scheme) in PICTURES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
                timezone_id="Europe/Berlin",
            )
            console.session.key = "the-key"
            page.goto(console.session.door)
            page.wait_for_url("**/payments")
            page.goto(console.session.origin + sample.PAGES[page_name])
            told = PngInfo()
            told.add_text(FINGERPRINT, fingerprint())
            with Image.open(io.BytesIO(page.screenshot())) as picture:
                picture.save(DOCS / name, pnginfo=told, optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
