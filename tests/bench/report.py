"""Tables, plots and targets of a bench, and how they are written: Markdown, JSON, SVG."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Table:
    """`rows` are lists of text, as long as `columns`."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def markdown(self) -> str:
        """The table, its columns as wide as what is in them."""
        lines = [self.columns, *self.rows]
        for row in lines:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {row} has not {len(self.columns)} cells")
        widths = [max(len(row[at]) for row in lines) for at in range(len(self.columns))]
        text = ["| " + " | ".join(cell.ljust(width)
                                  for cell, width in zip(row, widths, strict=True)) + " |"
                for row in lines]
        text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"**{self.title}**", "", *text, ""])


@dataclass
class Chart:
    """A plot: bars over `labels`, or with `logarithmic` lines over numbers, both axes logarithmic.

    `series` has a value for each label, None where there is none.
    """

    file: str
    title: str
    unit: str
    labels: list
    series: dict[str, list[float | None]]
    logarithmic: bool = False
    x_title: str = ""

    def write(self, folder: Path) -> Path:
        """Make the SVG; ImportError where pygal is not installed."""
        import pygal

        more = {"js": [], "title": self.title, "x_title": self.x_title, "y_title": self.unit,
                "legend_at_bottom": True, "width": 900, "height": 500}
        if self.logarithmic:
            chart = pygal.XY(logarithmic=True, xrange=None, **more)
            for name, values in self.series.items():
                # Both axes: pygal knows the one of y, the other is given as powers of ten.
                points = zip(self.labels, values, strict=True)
                chart.add(name, [(math.log10(x), y) for x, y in points if y])
            chart.y_labels = _decades([value for values in self.series.values()
                                       for value in values if value])
            chart.x_labels = [{"value": math.log10(x), "label": human(x)} for x in self.labels]
        else:
            chart = pygal.Bar(**more)
            chart.x_labels = [str(label) for label in self.labels]
            for name, values in self.series.items():
                chart.add(name, values)
        chart.add_xml_filter(_without_scripts)
        path = folder / f"{self.file}.svg"
        chart.render_to_file(str(path))
        return path


def _decades(values: list[float]) -> list[float]:
    """The powers of ten around all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0 ** power for power in range(low, high + 1)]


def _without_scripts(root):
    """pygal's root element without what only its own JavaScript, which is not there, would use."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "script":
                parent.remove(child)
    return root


@dataclass
class Target:
    """Something to be reached. `met` is None where it could not be measured here."""

    what: str
    measured: str
    met: bool | None


@dataclass
class Section:
    """What one part of the bench found; `data` goes into the JSON as it is."""

    title: str
    text: str = ""
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    data: dict = field(default_factory=dict)


def human(octets: float) -> str:
    """1024 -> 1 KB; plain numbers below."""
    for unit, size in (("MB", 1 << 20), ("KB", 1 << 10)):
        if octets >= size and octets % size == 0:
            return f"{octets // size} {unit}"
    return f"{octets:,.0f}"


def figure(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def targets_table(sections: dict[str, Section]) -> Table:
    table = Table("Targets", ["section", "target", "measured", ""])
    for name, section in sections.items():
        for target in section.targets:
            verdict = {True: "met", False: "MISSED", None: "not measured"}[target.met]
            table.rows.append([name, target.what, target.measured, verdict])
    return table


def write(sections: dict[str, Section], about: dict, folder: Path) -> str:
    """Write bench.md, bench.json and the plots; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# picopost's bench", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    targets = targets_table(sections)
    if targets.rows:
        lines += [targets.markdown()]
    plots = ""
    for section in sections.values():
        lines += [f"## {section.title}", "", section.text, ""]
        lines += [table.markdown() for table in section.tables]
        for chart in section.charts:
            try:
                chart.write(folder)
                lines += [f"![{chart.title}]({chart.file}.svg)", ""]
            except ImportError:
                plots = "No plots: pygal is not installed (tests/requirements-bench.txt)."
    lines += [plots] if plots else []
    text = "\n".join(lines)
    (folder / "bench.md").write_text(text)
    (folder / "bench.json").write_text(json.dumps(
        {"about": about, "sections": {name: section.data for name, section in sections.items()},
         "targets": [dict(zip(("section", "target", "measured", "verdict"), row, strict=True))
                     for row in targets.rows]}, indent=1))
    return text
