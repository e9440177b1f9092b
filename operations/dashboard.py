"""``payments dashboard``: draw the synthesised dashboard with the metrics of a real local run.

The picture holds the hash of the dashboard that it shows, so that a test finds an old one out.
"""

import argparse
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter, MaxNLocator

from operations import clients, screen
from operations.failures import tell
from operations.options import DONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE: Final = Path(__file__).parents[1] / "docs/dashboard.png"
FINGERPRINT: Final = "Dashboard"
"""The key under which the picture's metadata hold the hash of its dashboard."""

_BIN: Final = timedelta(seconds=5)
_COLOURS: Final = ("#0b5fa5", "#d1701f", "#2e8b57", "#b3261e", "#7b4fa3", "#8a6d3b")
_ABSENT: Final = "the local emulator\nemits no such metric"

type Series = dict[str, list[float]]


def fingerprint(body: Mapping[str, Any]) -> str:
    """Return a hash of what a dashboard shows, whatever the environment that it is for.

    What Terraform puts in later, and names with the environment's suffix, are left out.
    """
    shown = [
        [
            widget["type"],
            widget["properties"]["title"],
            *(widget[side] for side in ("x", "y", "width", "height")),
            *(_name_of(line) for line in widget["properties"].get("metrics", [])),
        ]
        for widget in body["widgets"]
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def _name_of(line: Sequence[Any]) -> str:
    if isinstance(line[0], str):
        return f"{line[1]} {line[-1]['stat']}"
    return re.sub(r"\{[^}]*\}", "", str(line[0]["expression"]))


@dataclass(slots=True)
class Run:
    """What a local run has told CloudWatch so far, second by second."""

    suffix: str
    start: datetime
    end: datetime
    points: dict[tuple[str, str], dict[str, list[tuple[datetime, float]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @property
    def bins(self) -> list[datetime]:
        """The beginnings of the spans of time that are drawn."""
        count = (self.end - self.start) // _BIN + 1
        return [self.start + number * _BIN for number in range(count)]

    def series(self, namespace: str, name: str, statistic: str) -> Series:
        """Return one line for each set of dimensions."""
        return {
            label: self._binned(points, statistic)
            for label, points in sorted(self.points.get((namespace, name), {}).items())
        }

    def short(self, name: str) -> str:
        """Return the name of a resource, or the one in its ARN, without the environment's."""
        return name.rpartition(":")[2].removesuffix(f"-{self.suffix}")

    def _binned(self, points: list[tuple[datetime, float]], statistic: str) -> list[float]:
        kept: dict[int, list[float]] = defaultdict(list)
        for at, value in points:
            kept[(at - self.start) // _BIN].append(value)
        return [_statistic(statistic, kept[number]) for number in range(len(self.bins))]


def _statistic(name: str, values: list[float]) -> float:
    if not values:
        return 0.0
    if name == "Sum":
        return sum(values)
    share = {"Maximum": 1.0, "p99": 0.99, "p50": 0.5}[name]
    return sorted(values)[int(share * (len(values) - 1))]


def read_run(suffix: str) -> Run:
    """Read every metric that the environment has, and the executions of its workflows."""
    cloudwatch, now = clients.cloudwatch(), datetime.now(UTC)
    run = Run(suffix, now - timedelta(minutes=30), now)
    for metrics in cloudwatch.get_paginator("list_metrics").paginate():
        for metric in metrics["Metrics"]:
            _add_metric(run, cloudwatch, metric)
    workflows = clients.stepfunctions()
    for machine in workflows.list_state_machines()["stateMachines"]:
        short = run.short(machine["name"])
        for page in workflows.get_paginator("list_executions").paginate(
            stateMachineArn=machine["stateMachineArn"]
        ):
            for execution in page["executions"]:
                _add(run, "AWS/States", "ExecutionsStarted", short, execution["startDate"], 1)
                if execution["status"] != "RUNNING":
                    ended = f"Executions{execution['status'].title().replace('_', '')}"
                    _add(run, "AWS/States", ended, short, execution["stopDate"], 1)
    moments = [at for lines in run.points.values() for each in lines.values() for at, _ in each]
    if moments:
        run.start, run.end = min(moments) - _BIN, max(moments) + _BIN
    return run


def _add_metric(run: Run, cloudwatch: Any, metric: Any) -> None:
    dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
    label = dimensions.get("currency") or run.short(next(iter(dimensions.values()), "all"))
    answer = cloudwatch.get_metric_statistics(
        Namespace=metric["Namespace"],
        MetricName=metric["MetricName"],
        Dimensions=metric["Dimensions"],
        StartTime=run.start,
        EndTime=run.end + timedelta(minutes=1),
        Period=1,
        Statistics=["Sum"],
    )
    for point in answer["Datapoints"]:
        _add(
            run,
            metric["Namespace"],
            metric["MetricName"],
            label,
            point["Timestamp"],
            point["Sum"],
        )


def _add(run: Run, namespace: str, name: str, label: str, at: datetime, value: float) -> None:
    run.points[namespace, name].setdefault(label, []).append((at.astimezone(UTC), value))


def draw(body: Mapping[str, Any], run: Run, picture: Path) -> None:
    """Draw the widgets where the dashboard has them, and write the picture."""
    widgets = body["widgets"]
    width, height = 24, max(widget["y"] + widget["height"] for widget in widgets)
    mpl.rcParams.update({"font.size": 8, "font.family": "DejaVu Sans", "axes.titlesize": 9})
    figure = plt.figure(figsize=(width * 0.62, height * 0.34), facecolor="#f4f6f8")
    for widget in widgets:
        # The figure counts from its lower left corner, the dashboard from its upper left one.
        left, top = widget["x"] / width, 1 - widget["y"] / height
        axes = figure.add_axes(
            (
                left + 0.03,
                top - (widget["height"] - 1.5) / height,
                widget["width"] / width - 0.045,
                (widget["height"] - 2.6) / height,
            )
        )
        axes.set_title(widget["properties"]["title"], loc="left", fontweight="bold")
        {"metric": _draw_graph, "alarm": _draw_alarms, "log": _draw_query}[widget["type"]](
            axes, widget["properties"], run
        )
    picture.parent.mkdir(exist_ok=True)
    figure.savefig(picture, dpi=90, metadata={FINGERPRINT: fingerprint(body)})
    plt.close(figure)


def _draw_graph(axes: "Axes", properties: Mapping[str, Any], run: Run) -> None:
    series = _series_of(properties["metrics"], run)
    axes.spines[["top", "right"]].set_visible(False)
    if not series:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, _ABSENT, ha="center", va="center", color="#8a9199", style="italic")
        return
    minutes = [(at - run.start).total_seconds() / 60 for at in run.bins]
    for colour, (label, values) in zip(_COLOURS * 3, series.items(), strict=False):
        axes.plot(minutes, values, color=colour, label=label, linewidth=1.4)
        axes.fill_between(minutes, values, color=colour, alpha=0.08)
    # Room for the legend above the lines.
    axes.set_ylim(0, 1.35 * max(1.0, *(max(values) for values in series.values())))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(0, max(minutes))
    axes.grid(axis="y", color="#e2e6ea")
    axes.tick_params(length=0, labelcolor="#5b636b")
    axes.set_xlabel("minutes", color="#5b636b", labelpad=1)
    axes.legend(frameon=False, fontsize=7, loc="upper right", ncols=3)


def _series_of(lines: Sequence[Sequence[Any]], run: Run) -> Series:
    series: Series = {}
    for line in lines:
        if not isinstance(line[0], str):
            series |= _evaluated(line[0]["expression"], lines, run)
        elif line[-1].get("visible", True):
            of = run.short(str(line[-2]))
            found = run.series(line[0], line[1], line[-1]["stat"])
            if of in found:
                series[of if line[0] == "AWS/Lambda" else line[1]] = found[of]
    return series


def _evaluated(expression: str, lines: Sequence[Sequence[Any]], run: Run) -> Series:
    if searched := re.search(r'\{"([^"]+)",.*MetricName="(\w+)"', expression):
        return run.series(searched[1], searched[2], "Sum")
    # The only other expression there is: what started less what ended.
    (_, started, ended) = lines
    begun = run.series(started[0], started[1], "Sum").values()
    over = run.series(ended[0], ended[1], "Sum").values()
    changes = [
        sum(plus) - sum(minus)
        for plus, minus in zip(zip(*begun, strict=True), zip(*over, strict=True), strict=True)
    ]
    return {"open": list(accumulate(changes))} if changes else {}


def _draw_alarms(axes: "Axes", properties: Mapping[str, Any], run: Run) -> None:
    axes.axis("off")
    states = {
        alarm["AlarmName"]: alarm["StateValue"]
        for page in clients.cloudwatch().get_paginator("describe_alarms").paginate()
        for alarm in page["MetricAlarms"]
    }
    shown = len(properties["alarms"])
    for number, (name, state) in enumerate(sorted(states.items())[:shown]):
        colour = {"OK": "#2e8b57", "ALARM": "#b3261e"}.get(state, "#8a9199")
        at = (0.5 * (number % 2), 0.95 - 0.115 * (number // 2))
        axes.text(*at, f"■ {run.short(name)}", color=colour, fontsize=6.5, transform=axes.transAxes)


def _draw_query(axes: "Axes", properties: Mapping[str, Any], _run: Run) -> None:
    axes.axis("off")
    query = re.sub(r"(SOURCE '[^']+' \| )+", "", properties["query"]).replace(" | ", "\n| ")
    axes.text(0, 0.9, query, va="top", family="DejaVu Sans Mono", color="#3b4249", fontsize=7)


def run(options: argparse.Namespace) -> int:
    """Draw the dashboard of a deployed environment."""
    picture = Path(options.picture) if options.picture else PICTURE
    try:
        stored = clients.cloudwatch().get_dashboard(DashboardName=f"payments-{options.env}")
        draw(json.loads(stored["DashboardBody"]), read_run(options.env), picture)
    except clients.AWS_FAILURES as error:
        return tell(f"The dashboard of {options.env!r} cannot be drawn", error)
    if options.json:
        screen.document({"picture": str(picture)})
    else:
        screen.say(f"Drawn: {picture}")
    return DONE
