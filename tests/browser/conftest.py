"""One Chromium for all tests of a module: while it runs, asyncio is in use."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser."""
    found = chromium.find()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found.path, args=found.args)
        yield started
        started.close()
