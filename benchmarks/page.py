"""The published figures: ``published.json``, and the tables of ``docs/performance.md`` from it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measurement import REPOSITORY

PUBLISHED = REPOSITORY / "benchmarks/published.json"
PAGE = REPOSITORY / "docs/performance.md"

HEADINGS = ("what", "measured", "beside", "ratio", "target", "verdict")


def cells(measurement: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a measurement, as a report holds it, as a row of the table."""
    notes = f" ({measurement['notes']})" if measurement["notes"] else ""
    at_least, at_most = measurement["at_least"], measurement["at_most"]
    return (
        f"{measurement['what']}{notes}",
        f"{_figure(measurement['value'])} {measurement['unit']}",
        f"{measurement['beside']}: {_figure(measurement['beside_value'])}",
        f"{measurement['ratio']:.2f}",
        f"≥ {at_least:.2f}" if at_least is not None else f"≤ {at_most:.2f}",
        "met" if measurement["met"] else "missed",
    )


def published() -> dict[str, Any]:
    """Return what was published last."""
    figures: dict[str, Any] = json.loads(PUBLISHED.read_text()) if PUBLISHED.exists() else {}
    return figures


def publish(part: Mapping[str, Any]) -> None:
    """Replace a part of the published figures, and the tables of the page."""
    figures = {**published(), **part}
    PUBLISHED.write_text(f"{json.dumps(figures, indent=2, ensure_ascii=False)}\n")
    PAGE.write_text(rendered(PAGE.read_text(), figures))


def rendered(text: str, figures: Mapping[str, Any]) -> str:
    """Return a page with its tables made from the published figures."""
    for name, table in _tables(figures).items():
        text = replace_table(text, name, table)
    return text


def replace_table(text: str, name: str, table: str) -> str:
    """Return a page with one table replaced: what is between its name and the next end.

    Raises:
        ValueError: the page has no ``<!-- name -->``.
    """
    head, mark, rest = text.partition(f"<!-- {name} -->\n")
    if not mark:
        raise ValueError(f"the page has no place for {name}")
    _, end, tail = rest.partition("<!-- end -->")
    return f"{head}{mark}{table}{end}{tail}"


def _tables(figures: Mapping[str, Any]) -> dict[str, str]:
    tables = {}
    if measured := figures.get("measurements"):
        tables["measurements"] = markdown_table(HEADINGS, map(cells, measured["measurements"]))
    if growth := figures.get("growth"):
        tables["growth"] = markdown_table(growth["headings"], growth["rows"])
    return {
        name: f"{table}\nMeasured at {figures[name]['measured_at']} on {figures[name]['machine']}.\n"
        for name, table in tables.items()
    }


def markdown_table(headings: Sequence[str], rows: Any) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004 - three digits
