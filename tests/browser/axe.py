"""axe-core, which finds what keeps people from using a page: https://github.com/dequelabs/axe-core."""

from typing import Any, Final

from playwright.sync_api import Page

from tests.browser.chromium import ROOT

_SOURCE: Final = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Return a line for each rule of WCAG 2.2 AA and of good practice that a page breaks."""
    # As a debugger does: the pages' own policy allows no script but theirs.
    page.evaluate(_SOURCE)
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", _RULES
    )
    return [
        f"{each['id']}: {each['help']}: {', '.join(str(node['target']) for node in each['nodes'])}"
        f" {each['nodes'][0].get('failureSummary', '')}"
        for each in found["violations"]
    ]
