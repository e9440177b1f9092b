"""The published figures: the page shows what the file holds."""

from benchmarks import page


def test_the_page_shows_the_published_figures() -> None:
    text = page.PAGE.read_text()
    assert page.rendered(text, page.published()) == text


def test_a_verdict_is_what_ratio_and_target_say() -> None:
    for each in page.published()["measurements"]["measurements"]:
        at_least, at_most = each["at_least"], each["at_most"]
        assert (at_least is None) != (at_most is None)
        ratio = each["value"] / each["beside_value"]
        expected = ratio >= at_least if at_least is not None else ratio <= at_most
        assert each["met"] is expected, each["what"]
