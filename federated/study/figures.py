"""The report's figures, drawn from findings with matplotlib's Agg and SVG: the same findings give the same bytes.

Figures for the page are SVG without a background whose ink is the page's own text colour, so that they follow light,
dark and print; the picture for the README is the same drawing as PNG on white. Nothing of pyplot is used and the
user's matplotlib settings are put aside while drawing.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from federated.study.findings import EVALUATED, FEDERATED, MODELS, PUBLIC_ONLY, ExampleDay, Findings, Table
from federated.study.wording import TASK_NAMES, method_name, reason_name
from model.evaluation.generative import REFERENCE, Row
from simulator.gap_looks import LOOKS
from simulator.recording import Reason
from simulator.signals import INDEX, MINUTES_PER_DAY, SIGNALS

INK: Final = "#1f2933"  # text and axes; the page's own colour in SVG
FAINT: Final = "#7b8794"  # grid and what may be overlooked; the page's own in SVG
METHOD_COLOURS: Final[Mapping[str, str]] = {  # after Okabe & Ito: told apart by all common kinds of colour vision
    FEDERATED: "#0072b2",
    EVALUATED: "#d55e00",
    PUBLIC_ONLY: "#e69f00",
    "mean": "#009e73",
    "diurnal": "#cc79a7",
    "kernel": "#4b5320",
    "nearest": "#56b4e9",
    "last": "#a0714f",
    REFERENCE: "#808890",
}
METHOD_MARKERS: Final[Mapping[str, str]] = {
    FEDERATED: "o",
    EVALUATED: "o",
    PUBLIC_ONLY: "s",
    "mean": "D",
    "diurnal": "^",
    "kernel": "p",
    "nearest": "P",
    "last": "X",
    REFERENCE: "_",
}
UNITS: Final[Mapping[str, str]] = {"degC": "°C", "uS": "µS", "uS/min": "µS/min"}
ABBREVIATIONS: Final[Mapping[str, str]] = {
    "pnn30": "pNN30",
    "rmssd": "RMSSD",
    "rr": "RR",
    "scl": "SCL",
    "sd": "SD",
    "sdnn": "SDNN",
}
WIDTH_INCHES: Final = 11.0
PICTURE_PIXELS: Final = 1600
FLOOR_PERCENT: Final = -100.0  # the deepest that a model can stretch the main picture's axis
SIMPLE_FLOOR_PERCENT: Final = -50.0  # the deepest that a simple method can; what lies below is marked at the edge
SMOOTHED_SHARE: Final = 0.05  # of the steps, in the running mean of the training loss
_STYLE: Final[Mapping[str, object]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.5,
    "grid.alpha": 0.3,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "everywear",
    "text.color": INK,
    "text.parse_math": False,  # names are shown as they are written
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def savings_svg(scores: Table, noise: str, name: str) -> str:
    """The main picture as SVG; ``name`` is unique on the page."""
    return _svg(name, lambda: _savings(scores, noise, title=None))


def savings_png(scores: Table, noise: str, title: str) -> bytes:
    """The main picture as PNG of ``PICTURE_PIXELS`` width on white, under a title."""
    with _style():
        figure = _savings(scores, noise, title)
        buffer = io.BytesIO()
        dpi = PICTURE_PIXELS / WIDTH_INCHES
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def curves_svg(found: Findings, name: str) -> str:
    """Training loss of the warm start, and public validation loss over the rounds, as SVG."""
    return _svg(name, lambda: _curves(found))


def day_svg(day: ExampleDay, name: str) -> str:
    """The shown signals of a day over the clock, gaps coloured by reason, as SVG."""
    return _svg(name, lambda: _day(day))


def reasons_of(days: Sequence[ExampleDay]) -> list[Reason]:
    """Reasons that occur in any of the days, in canonical order."""
    return sorted({Reason[gap[2]] for day in days for gaps in day.reasons.values() for gap in gaps})


def unit(signal: str) -> str:
    """A signal's unit as one writes it."""
    plain = SIGNALS[INDEX[signal]].unit
    return UNITS.get(plain, plain)


def signal_name(signal: str) -> str:
    """A signal's name as one writes it: "altimeter_sd" -> "altimeter SD"."""
    return " ".join(ABBREVIATIONS.get(word, word) for word in signal.split("_"))


# --- drawing ---------------------------------------------------------------------------------------------------------


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def _svg(name: str, draw: Callable[[], Figure]) -> str:
    """A drawing as an ``<svg>`` element for a page: no header, own identifiers, the page's colours."""
    with _style():
        buffer = io.StringIO()
        draw().savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<svg[^>]*>", lambda tag: re.sub(r' (?:width|height)="[^"]*"', "", tag[0]), text, count=1)
    return text.replace(INK, "currentColor").replace(FAINT, "var(--faint)").strip()


def _savings(scores: Table, noise: str, title: str | None) -> Figure:
    """A panel a task: saving against linear interpolation over the horizons, by method, with 95 % intervals."""
    tasks = list(dict.fromkeys(place[0] for place in scores.places))
    horizons = {task: [place[1] for place in scores.places if place[0] == task] for task in tasks}
    methods = [method for method in scores.methods if method != REFERENCE]
    figure = Figure(figsize=(WIDTH_INCHES, 4.3 if title is None else 4.7), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05)  # type: ignore[union-attr, call-arg]
    widths = [max(1.25, len(horizons[task])) for task in tasks]
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False, width_ratios=widths)[0]
    low, high = _limits(scores, methods)
    for panel, task in zip(panels, tasks, strict=True):
        _panel(panel, scores, task, horizons[task], methods, low)
    panels[0].set_ylim(low, high)
    panels[0].set_ylabel("error saved against\nlinear interpolation, % of its MSE")
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:+.0f} %".replace("-", "−") if value else "0")
    figure.legend(handles=_keys(methods, noise), loc="outside lower center", ncols=4)
    if title is not None:
        figure.suptitle(title, x=0.012, ha="left", fontsize=11.5)
    return figure


def _panel(
    panel: Axes, scores: Table, task: str, horizons: Sequence[int | None], methods: Sequence[str], low: float
) -> None:
    place = np.arange(len(horizons))
    panel.axhline(0, color=FAINT, linewidth=1.4)
    panel.grid(axis="y")
    panel.tick_params(length=0)
    for i, method in enumerate(methods):
        rows = [scores.get((task, horizon), method) for horizon in horizons]
        at = place + (i - (len(methods) - 1) / 2) * 0.13
        for x, row in zip(at, rows, strict=True):
            if row is not None and row.saving is not None:
                _mark(panel, float(x), row, method, low)
    title = TASK_NAMES.get(task, task.replace("_", " "))
    panel.set_title("\n".join(textwrap.wrap(title, 12 * max(1, len(horizons)))))
    panel.set_xlim(-0.6, len(horizons) - 0.4)
    panel.set_xticks(place, ["" if horizon is None else str(horizon) for horizon in horizons])
    panel.set_xlabel("" if horizons == [None] else "length of the gap, minutes")
    for edge in place[1:] - 0.5:
        panel.axvline(float(edge), color=FAINT, linewidth=0.5, alpha=0.25)


def _mark(panel: Axes, x: float, row: Row, method: str, low: float) -> None:
    """One method at one place; below the axis, an arrow at its edge."""
    colour = METHOD_COLOURS.get(method, FAINT)
    model = method in MODELS
    saving = 100 * (row.saving or 0.0)
    if row.saving_interval is not None:
        bottom, top = (100 * bound for bound in row.saving_interval)
        width, alpha = (2.6, 1.0) if model else (1.0, 0.6)
        panel.plot([x, x], [bottom, top], color=colour, linewidth=width, alpha=alpha, solid_capstyle="butt")
    below = saving < low
    panel.plot(
        [x],
        [low if below else saving],
        marker="v" if below else METHOD_MARKERS.get(method, "."),
        markersize=6 if model else 4.5,
        color=colour,
        markeredgewidth=0,
        clip_on=False,
        zorder=4,
    )


def _keys(methods: Sequence[str], noise: str) -> list[Line2D]:
    keys = [
        Line2D(
            [], [], color=METHOD_COLOURS.get(m, FAINT), marker=METHOD_MARKERS.get(m, "."), label=method_name(m, noise)
        )
        for m in methods
    ]
    keys.append(Line2D([], [], color=FAINT, linewidth=1.4, label=f"0: {method_name(REFERENCE, noise)}"))
    below = "below the axis"
    return [*keys, Line2D([], [], color=FAINT, marker="v", linestyle="", markeredgewidth=0, label=below)]


def _limits(scores: Table, methods: Sequence[str]) -> tuple[float, float]:
    """Limits of the axis, percent: what the models reach, and of the others what is not too far below."""
    low, high = -10.0, 10.0
    for method in methods:
        for row in scores.overall(method):
            bounds = [b for b in (row.saving, *(row.saving_interval or ())) if b is not None]
            high = max([high, *(100 * b for b in bounds)])
            kept = [100 * b for b in bounds] if method in MODELS else [100 * (row.saving or 0.0)]
            low = min([low, *(b for b in kept if method in MODELS or b >= SIMPLE_FLOOR_PERCENT)])
    return max(low, FLOOR_PERCENT) - 4, high + 4


def _curves(found: Findings) -> Figure:
    figure = Figure(figsize=(WIDTH_INCHES, 3.1), layout="constrained")
    steps, rounds = figure.subplots(1, 2, width_ratios=(1.35, 1))
    losses = np.asarray(found.warm_up.losses)
    window = max(1, round(SMOOTHED_SHARE * len(losses)))
    colour = METHOD_COLOURS[PUBLIC_ONLY]
    at = np.arange(1, len(losses) + 1)
    steps.plot(at, losses, color=colour, linewidth=0.7, alpha=0.55, label="each step")
    label = f"mean over {window} step{'s' if window > 1 else ''}"
    steps.plot(at, _smoothed(losses, window), color=colour, linewidth=2, label=label)
    steps.set(xlabel="step on public people", ylabel="training loss", title="Warm start on public people")
    steps.legend(loc="upper right")
    n = np.arange(len(found.public_losses))
    private = METHOD_COLOURS[FEDERATED]
    rounds.axhline(found.public_losses[0], color=colour, linewidth=1, linestyle=(0, (4, 3)))
    rounds.plot(n, found.public_losses, color=private, marker="o", markersize=5, linewidth=1.8, clip_on=False)
    rounds.plot(n[:1], found.public_losses[:1], color=colour, marker="s", markersize=6, clip_on=False, zorder=4)
    rounds.set(xlabel="round with the makers (0: after the warm start)", ylabel="loss on public validation people")
    rounds.set_title("Rounds with the makers")
    for panel in (steps, rounds):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(axis="y")
        panel.tick_params(length=0)
    return figure


def _smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean over the trailing ``window`` values; over fewer at the beginning."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    smoothed: NDArray[np.float64] = (total[end] - total[start]) / (end - start)
    return smoothed


def _day(day: ExampleDay) -> Figure:
    empty = [all(value is None for value in values) for values in day.signals.values()]
    heights = [0.42 if nothing else 1.0 for nothing in empty]  # a signal that the day lacks needs less room
    figure = Figure(figsize=(WIDTH_INCHES, 0.35 + 0.7 * sum(heights)))
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    figure.subplots_adjust(left=0.155, right=0.982, top=0.985, bottom=0.30 / figure.get_figheight(), hspace=0.16)
    for panel, (signal, values), nothing in zip(panels, day.signals.items(), empty, strict=True):
        panel.text(-0.185, 0.5 if nothing else 0.62, signal_name(signal), transform=panel.transAxes, va="center")
        panel.yaxis.set_major_locator(MaxNLocator(2, min_n_ticks=2))
        panel.tick_params(length=0, labelsize=8)
        panel.spines[["left", "bottom"]].set_visible(False)
        panel.grid(axis="x")
        panel.margins(y=0.12)
        _gaps(panel, day.reasons.get(signal, ()))
        if nothing:
            panel.set_yticks([])
            continue
        panel.text(-0.185, 0.3, unit(signal), transform=panel.transAxes, va="center", fontsize=8, color=FAINT)
        x, y = _strokes(np.array([np.nan if value is None else value for value in values]))
        panel.plot(x, y, color=INK, linewidth=0.9, solid_capstyle="round")
    panels[-1].set_xlim(0, MINUTES_PER_DAY)
    panels[-1].set_xticks(range(0, MINUTES_PER_DAY + 1, 180), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
    return figure


def _gaps(panel: Axes, gaps: Sequence[tuple[int, int, str]]) -> None:
    """Gaps as bands over the panel's whole height: one outline a reason, however many gaps there are."""
    for reason in sorted({Reason[name] for _, _, name in gaps}):
        boxes = [[(a, 0), (a, 1), (b, 1), (b, 0), (a, 0)] for a, b, name in gaps if Reason[name] is reason]
        outline = Outline.make_compound_path(*(Outline(np.array(box, dtype=float), closed=True) for box in boxes))
        colour, band = LOOKS[reason].colour, panel.get_xaxis_transform()
        panel.add_patch(PathPatch(outline, facecolor=colour, edgecolor="none", alpha=0.6, transform=band))


def _strokes(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Line through the values of consecutive minutes, broken at gaps; a minute alone becomes a short stroke."""
    minute = np.arange(len(values)) + 0.5
    seen = np.pad(np.isfinite(values), 1)
    alone = np.flatnonzero(seen[1:-1] & ~seen[:-2] & ~seen[2:])
    x = np.stack([minute[alone] - 0.4, minute[alone] + 0.4, np.full(len(alone), np.nan)], axis=1).ravel()
    return np.concatenate([minute, [np.nan], x]), np.concatenate([values, [np.nan], np.repeat(values[alone], 3)])


def legend_svg(days: Sequence[ExampleDay], name: str) -> str:
    """What the colours of gaps mean, as SVG: the reasons that occur in ``days``."""

    def draw() -> Figure:
        figure = Figure(figsize=(WIDTH_INCHES, 0.3))
        keys = [Patch(facecolor=LOOKS[r].colour, alpha=0.6, label=reason_name(r.name)) for r in reasons_of(days)]
        line = Line2D([], [], color=INK, linewidth=1, label="delivered")
        figure.legend(handles=[line, *keys], loc="center left", ncols=9, bbox_to_anchor=(0, 0.5), borderaxespad=0)
        return figure

    return _svg(name, draw)
