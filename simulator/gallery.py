"""Gallery: people's weeks as a picture, a row a person, for eyes that know such data.

Five signals run along the week in lanes of their own: heart rate, steps, RMSSD, skin conductance and skin
temperature. Sleep and exercise are bars above them; what is missing is shaded in the lane where it is missing, in the
colour of its reason.
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from simulator.gap_looks import LOOKS
from simulator.recording import DataError, Reason, Recording, runs_of
from simulator.signals import INDEX, MINUTES_PER_DAY, SIGNALS

MOST_PEOPLE: Final = 5  # so that text can be read where a page shows the picture 800 pixels wide
DAYS: Final = 7
_STEP_MINUTES: Final = 6  # minutes drawn as one point: a pixel of the picture
_POINTS: Final = MINUTES_PER_DAY // _STEP_MINUTES
_SPORTS: Final = "activity"  # kind of events that are exercise
_DPI: Final = 140
_WIDTH_INCHES: Final = 10.0


class Lane(NamedTuple):
    """How one signal is drawn: its range in its own unit, logarithmic or not, its colour, place and height."""

    signal: str
    label: str
    low: float
    high: float
    logarithmic: bool
    colour: str
    base: int
    height: int


_LANES: Final = (
    Lane("heart_rate", "heart rate", 40.0, 170.0, False, "#b5303a", 8, 4),
    Lane("steps", "steps", 0.0, 130.0, False, "#44546a", 6, 2),
    Lane("rmssd", "RMSSD", 0.0, 100.0, False, "#2a7f62", 4, 2),
    Lane("scl", "conductance", 0.05, 20.0, True, "#6a4c93", 2, 2),
    Lane("skin_temperature", "skin temp.", 27.0, 37.0, False, "#c8731a", 0, 2),
)
_SLEEP, _EXERCISE = "#1d2f5f", "#2f9e44"
_HATCH: Final = "#333333"
_ROOM: Final = 0.88  # of a lane's height that its signal uses
_TOP: Final = max(lane.base + lane.height for lane in _LANES)
_STRENGTH: Final = 0.65  # of a reason's colour on white, so that lines beside it are seen
_COLOURS: Final = 96  # in the file's palette


def draw_weeks(recordings: Iterable[Recording], path: Path, captions: Mapping[str, str] | None = None) -> Path:
    """Draw the first seven days of the first five people as one PNG file, below 300 kB.

    Args:
        recordings: In any order; a day that is not among them stays blank.
        path: The file; its folder is made if it is not there.
        captions: What stands above a person's row, by ``Recording.person``; None: person and device.

    Returns:
        ``path``.

    Raises:
        DataError: If there are no recordings.
    """
    weeks = _weeks(recordings)
    if not weeks:
        raise DataError("no recording to draw, expected at least one")
    figure = Figure(figsize=(_WIDTH_INCHES, 0.9 + 1.9 * len(weeks)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(weeks), 1, squeeze=False)[:, 0]
    for axes, (person, week) in zip(rows, weeks.items(), strict=True):
        vendor = next(iter(week.values())).vendor
        _draw_person(axes, week, (captions or {}).get(person, f"{person}, {vendor}"))
    seen = {Reason(why) for week in weeks.values() for day in week.values() for why in np.unique(_shown(day))}
    handles = [Patch(color=_SLEEP, label="asleep"), Patch(color=_EXERCISE, label="exercise, walks")]
    handles += [
        Patch(facecolor=tint(reason), edgecolor=_HATCH, hatch=look.hatch, lw=0.4, label=look.name)
        for reason, look in LOOKS.items()
        if reason in seen
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=9.5, frameon=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DPI, format="png")
    Image.open(drawn).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def tint(reason: Reason) -> tuple[float, float, float]:
    """The colour in which a gap of this reason is shaded: red, green and blue, 0 to 1."""
    red, green, blue = (1 - _STRENGTH * (1 - part) for part in to_rgb(LOOKS[reason].colour))
    return red, green, blue


def _weeks(recordings: Iterable[Recording]) -> dict[str, dict[int, Recording]]:
    """Each person's days by place in the week that begins with their first day."""
    people: dict[str, dict[int, Recording]] = {}
    for recording in recordings:
        if recording.person in people or len(people) < MOST_PEOPLE:
            people.setdefault(recording.person, {})[recording.day] = recording
    return {
        person: {day - min(days): days[day] for day in sorted(days) if day - min(days) < DAYS}
        for person, days in people.items()
    }


def _shown(day: Recording) -> NDArray[np.uint8]:
    """Reasons of the lanes' signals, uint8 [lanes, 1440]."""
    return day.reason[[INDEX[lane.signal] for lane in _LANES]]


def _draw_person(axes: Axes, week: Mapping[int, Recording], caption: str) -> None:
    picture = np.ones((len(_LANES), DAYS * _POINTS, 3))
    for place, day in week.items():
        why = _shown(day)[:, _STEP_MINUTES // 2 :: _STEP_MINUTES]
        for reason, look in LOOKS.items():
            picture[:, place * _POINTS : (place + 1) * _POINTS][why == reason] = tint(reason)
            for lane, missing in zip(_LANES, why == reason, strict=True):
                if look.hatch and missing.any():
                    _hatch(axes, lane, place + runs_of(missing) / _POINTS, look.hatch)
    tall = np.repeat(picture, [lane.height for lane in _LANES], axis=0)
    axes.imshow(tall, extent=(0, DAYS, 0, _TOP), aspect="auto", interpolation="nearest", zorder=0)
    for lane in _LANES:
        values = np.full(DAYS * _POINTS, np.nan)
        for place, day in week.items():
            values[place * _POINTS : (place + 1) * _POINTS] = _points(day, lane.signal)
        _draw_lane(axes, lane, values)
    for place, day in week.items():
        _draw_events(axes, place, day)
    _dress(axes, week, caption)


def _hatch(axes: Axes, lane: Lane, spans: NDArray[np.float64], hatch: str) -> None:
    """Lines across spans [n, 2] of a lane, in days."""
    bars = [(begin, end - begin) for begin, end in spans]
    axes.broken_barh(bars, (lane.base, lane.height), facecolor="none", edgecolor=_HATCH, hatch=hatch, lw=0, zorder=1)


def _points(day: Recording, signal: str) -> NDArray[np.float64]:
    """Means over ``_STEP_MINUTES`` of what was observed, NaN where nothing was."""
    row = INDEX[signal]
    seen = day.observed[row].reshape(_POINTS, _STEP_MINUTES)
    values = np.where(seen, day.values[row].reshape(_POINTS, _STEP_MINUTES), 0.0).astype(np.float64)
    count = seen.sum(axis=1)
    return np.where(count > 0, values.sum(axis=1) / np.maximum(count, 1), np.nan)


def _draw_lane(axes: Axes, lane: Lane, values: NDArray[np.float64]) -> None:
    time = (np.arange(values.size) + 0.5) / _POINTS
    scale = np.log if lane.logarithmic else np.asarray
    low, high = scale(lane.low), scale(lane.high)
    floor, room = lane.base + 0.06 * lane.height, _ROOM * lane.height
    height = floor + room * (np.clip(scale(np.maximum(values, 1e-3)), low, high) - low) / (high - low)
    if lane.signal == "steps":
        axes.fill_between(time, floor, height, color=lane.colour, lw=0, step="mid", zorder=2)
    else:
        axes.plot(time, height, color=lane.colour, lw=0.75, zorder=2)
    unit = (
        next(signal.unit for signal in SIGNALS if signal.name == lane.signal).replace("uS", "µS").replace("degC", "°C")
    )
    text: dict[str, Any] = {"fontsize": 7.5, "color": lane.colour, "clip_on": False}
    unit = "/min" if lane.signal == "steps" else unit
    axes.text(-0.04, floor, f"{lane.low:g}", ha="right", va="bottom", **text)
    axes.text(-0.04, floor + room, f"{lane.high:g} {unit}", ha="right", va="top", **text)
    axes.text(DAYS + 0.03, floor + room / 2, lane.label, ha="left", va="center", **(text | {"fontsize": 9}))


def _draw_events(axes: Axes, place: int, day: Recording) -> None:
    """Bars of sleep and exercise above the lanes."""
    for event in day.events:
        begin, end = (min(max(minute, 0), MINUTES_PER_DAY) for minute in (event.start_minute, event.end_minute))
        colour = {"sleep": _SLEEP, _SPORTS: _EXERCISE}.get(event.kind)
        if colour is not None and end > begin:
            width = max(end - begin, 8) / MINUTES_PER_DAY  # so that the shortest walk is seen
            axes.barh(_TOP + 0.5, width, 0.7, left=place + begin / MINUTES_PER_DAY, color=colour, lw=0, zorder=3)


def _dress(axes: Axes, week: Mapping[int, Recording], caption: str) -> None:
    axes.set(xlim=(0, DAYS), ylim=(0, _TOP + 1), yticks=[])
    axes.set_xticks(np.arange(0, DAYS + 0.01, 0.25), minor=True)
    axes.set_xticks(range(DAYS + 1), [""] * (DAYS + 1))
    for lane in _LANES:
        axes.axhline(lane.base + lane.height, color="#c9c9c9", lw=0.4, zorder=1)
    for place in range(DAYS):
        axes.axvline(place, color="#8a8a8a", lw=0.6, zorder=1)
        date = week[place].date.strftime("%a %d %b") if place in week else "no recording"
        axes.text(place + 0.5, -0.3, date, ha="center", va="top", fontsize=8.5, color="#444444")
    axes.tick_params(which="both", length=2, width=0.5)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set(linewidth=0.5, color="#8a8a8a")
    axes.set_title(caption, loc="left", fontsize=10, pad=2)
