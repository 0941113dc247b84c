"""What a person looks at: one figure of a window, and a page that holds it with a table in words."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from typing import TYPE_CHECKING

from assets.monitoring.drift import Window
from assets.monitoring.statistics import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRIFTED, QUIET, UNKNOWN = "#c0392b", "#2c7fb8", "#9a9a9a"
_SHOWN = 4
_LABELS = 10
"""So many labels of a feature at most are drawn."""
_METHODS = {
    "numeric": "population stability index",
    "category": "Cramér's V",
    "volume": "log ratio, t-test of weeks",
}


def ranked(window: Window) -> list[Finding]:
    """The findings, the worst first, those without enough data last."""
    return sorted(window.findings, key=lambda each: (not each.is_enough, -each.severity, each.feature.title))


def said(finding: Finding) -> str:
    """The verdict in two or three words."""
    if not finding.is_enough:
        return "not enough data"
    return "drifted" if finding.is_drifted else "no drift"


def figure(window: Window) -> Figure:
    """Effects as shares of their thresholds, and the features that moved most: reference against current window.

    Raises:
        ValueError: the window has no findings.
    """
    from matplotlib.figure import Figure as MatplotlibFigure

    if not window.findings:
        raise ValueError(f"{window.shop} as of {window.as_of} has no findings to draw: {window.reason}")
    findings = ranked(window)
    small = [each for each in findings if each.is_enough and each.labels][:_SHOWN]
    height = 1.2 + 0.28 * len(findings)
    made = MatplotlibFigure(figsize=(10, height + (2.6 if small else 0)), layout="constrained")
    # Apart, for the long names of the features would squeeze what is below them.
    parts = made.subfigures(2 if small else 1, 1, height_ratios=[height, 2.6] if small else None, squeeze=False)
    above, *below = parts[:, 0]
    bars = above.subplots()
    places = range(len(findings))
    colours = [DRIFTED if each.is_drifted else QUIET if each.is_enough else UNKNOWN for each in findings]
    bars.barh(places, [min(each.severity, 3.0) for each in findings], color=colours, height=0.7)
    bars.axvline(1.0, color="black", linewidth=1, linestyle="--")
    for place, each in enumerate(findings):
        text = f"{each.effect:.2f} / {each.threshold:.2f}" if each.is_enough else "not enough data"
        bars.text(min(each.severity, 3.0) + 0.03, place, text, va="center", fontsize=8)
    bars.set_yticks(places, [f"{each.feature.title} ({each.feature.kind})" for each in findings], fontsize=8)
    bars.invert_yaxis()
    bars.set_xlim(0, 3.5)
    bars.set_xlabel("effect as a share of its threshold (from 1 on: drifted; cut at 3)", fontsize=8)
    bars.set_title(f"{window.shop}, as of {window.as_of}: {_heading(window)}", fontsize=10)
    panels = below[0].subplots(1, len(small), squeeze=False)[0] if small else []
    for axes, each in zip(panels, small, strict=True):
        shown = _moved_most(each)
        spots = range(len(shown))
        reference, current = ([values[place] for place in shown] for values in (each.reference, each.current))
        axes.barh([spot - 0.2 for spot in spots], reference, height=0.4, color=UNKNOWN, label="reference")
        axes.barh([spot + 0.2 for spot in spots], current, height=0.4, label="current",
                  color=DRIFTED if each.is_drifted else QUIET)  # fmt: skip
        # Of a path the end tells most. A dollar sign would begin a formula.
        labels = [each.labels[place] for place in shown]
        names = [label if len(label) <= 14 else f"…{label[-13:]}" for label in labels]
        axes.set_yticks(spots, [name.replace("$", r"\$") for name in names], fontsize=6)
        axes.invert_yaxis()
        axes.tick_params(axis="x", labelsize=6)
        axes.set_title(textwrap.fill(each.feature.title, 24), fontsize=8)
        axes.set_xlabel("share", fontsize=6)
    for axes in panels[:1]:
        axes.legend(fontsize=6)
    return made


def _moved_most(finding: Finding) -> list[int]:
    """The places of the labels to draw, in their order: of many those whose share differs most."""
    places = range(len(finding.labels))
    by_change = sorted(places, key=lambda place: -abs(finding.current[place] - finding.reference[place]))
    return sorted(by_change[:_LABELS])


def png(made: Figure, dpi: int = 90) -> bytes:
    """The figure as a picture."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _heading(window: Window) -> str:
    if not window.is_enough:
        return "not enough data"
    return "drifted" if window.is_drifted else "no drift"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; font-size: 13px; } th, td { padding: .35rem .6rem; text-align: left; }
th { border-bottom: 2px solid #ccc; } td { border-bottom: 1px solid #eee; }
td.n { text-align: right; white-space: nowrap; }
.drifted { color: #c0392b; font-weight: 600; } .unknown { color: #777; } img { max-width: 100%; }
"""


def page(window: Window, picture: bytes | None) -> str:
    """The whole report as one HTML page that loads nothing from elsewhere.

    Args:
        picture: the PNG of `figure`, where the window has findings.
    """
    title = f"Drift of {window.shop}, as of {window.as_of}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<link rel="icon" href="data:,">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p>Model <b>{html.escape(window.model)}</b>, version {window.model_version}. "
        f'<span class="{"drifted" if window.is_drifted else ""}">{html.escape(_heading(window).capitalize())}.</span> '
        f"{html.escape(window.reason.capitalize())}.</p>",
    ]
    if window.span is not None:
        span = window.span
        parts.append(
            f"<p>Current window: {span.start} to {span.end}. Reference, on which the model was trained: "
            f"{span.reference_start} to {span.reference_end}, weighted to the weekdays of the current window.</p>"
        )
    if picture is not None:
        shown = base64.b64encode(picture).decode()
        parts.append(f'<img alt="Effects against thresholds" src="data:image/png;base64,{shown}">')
    if window.findings:
        parts.append(
            "<table><thead><tr><th>feature</th><th>of</th><th>measure</th><th>actor-days in the reference</th>"
            "<th>in the window</th><th>worth</th><th>statistic</th><th>effect</th><th>threshold</th><th>verdict</th>"
            "</tr></thead><tbody>"
        )
        parts += [_line(finding) for finding in ranked(window)]
        parts.append("</tbody></table>")
    parts.append(
        "<p>An effect counts as drift where it is large enough to matter and larger than chance explains, at a level "
        "that allows for the number of features. <i>Worth</i> is to how many independent votes the actor-days amount, "
        "as the rows of one actor, day or week hang together.</p></body></html>"
    )
    return "\n".join(parts)


def _line(finding: Finding) -> str:
    kind = "drifted" if finding.is_drifted else "" if finding.is_enough else "unknown"
    worth = f"{finding.effective_reference:,.0f} / {finding.effective_current:,.0f}"
    numbers = [f"{finding.n_reference:,}", f"{finding.n_current:,}", worth]
    numbers += [_shown(value) for value in (finding.statistic, finding.effect, finding.threshold)]
    return (
        f'<tr class="{kind}"><td>{html.escape(finding.feature.title)}</td><td>{finding.feature.kind}</td>'
        f"<td>{_METHODS[finding.feature.scale]}</td>"
        + "".join(f'<td class="n">{number}</td>' for number in numbers)
        + f"<td>{html.escape(finding.reason)}</td></tr>"
    )


def _shown(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def table(window: Window) -> str:
    """The findings as a Markdown table."""
    lines = [
        "| feature | of | reference | current | effect | threshold | verdict |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for each in ranked(window):
        reason = each.reason.replace("|", "\\|")
        lines.append(
            f"| {each.feature.title} | {each.feature.kind} | {each.n_reference:,} | {each.n_current:,} |"
            f" {_shown(each.effect)} | {_shown(each.threshold)} | {reason} |"
        )
    return "\n".join(lines)
