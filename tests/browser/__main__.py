"""``make console-pictures``: photograph the console for the documentation, at two widths."""

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

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


def main() -> None:
    """Write the pictures."""
    found = chromium.find()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as console,
        sync_playwright() as playwright,
    ):
        sample.fill(console)
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
            page.screenshot(path=DOCS / name)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
