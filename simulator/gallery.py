"""Gallery: people's weeks as a picture, a row a person, for eyes that know such data.

Five signals run along the week in lanes of their own: heart rate, steps, RMSSD, skin conductance and skin
temperature. Sleep and exercise are bars above them; what is missing is shaded lightly in the lane where it is missing,
in the colour of its reason.
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

from simulator.recording import DataError, Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, SIGNALS

MOST_PEOPLE: Final = 10
DAYS: Final = 7
_STEP_MINUTES: Final = 6  # minutes drawn as one point: a pixel of the picture
_POINTS: Final = MINUTES_PER_DAY // _STEP_MINUTES
_SPORTS: Final = "activity"  # kind of events that are exercise
_DPI: Final = 100


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
_GAPS: Final[Mapping[Reason, tuple[str, str]]] = {
    Reason.SENSOR_ABSENT: ("no such sensor", "#ececec"),
    Reason.CHARGING: ("charging", "#fbe7a6"),
    Reason.OFF_WRIST: ("off the wrist", "#f7cdc4"),
    Reason.SENSOR_OFF: ("switched off by firmware", "#dbe9f6"),
    Reason.MOTION: ("lost in movement", "#e3d8f0"),
    Reason.BATTERY_EMPTY: ("battery empty", "#d8c7ac"),
    Reason.NOT_RECORDED: ("not recorded", "#dddddd"),
    Reason.OUT_OF_RANGE: ("out of range", "#aaaaaa"),
    Reason.LOOSE_FIT: ("worn loosely", "#d5efe3"),
    Reason.POWER_SAVING: ("saving power", "#ecd9c6"),
    Reason.NOT_SYNCED: ("not synchronised", "#cfe3e4"),
    Reason.SENSOR_FAILED: ("sensor failed", "#e5b3b5"),
    Reason.TOO_COLD: ("too cold", "#cdd5fb"),
    Reason.DROPPED_OUT: ("stopped wearing it", "#c9c9c9"),
    Reason.CLOCK_CHANGED: ("clock put forward", "#f6d5f6"),
}
_SLEEP, _EXERCISE = "#33518a", "#2f9e44"
_ROOM: Final = 0.88  # of a lane's height that its signal uses
_TOP: Final = max(lane.base + lane.height for lane in _LANES)
_COLOURS: Final = 96  # in the file's palette


def draw_weeks(recordings: Iterable[Recording], path: Path, captions: Mapping[str, str] | None = None) -> Path:
    """Draw the first seven days of the first ten people as one PNG file, below 300 kB.

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
    figure = Figure(figsize=(14, 0.9 + 1.95 * len(weeks)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(weeks), 1, squeeze=False)[:, 0]
    for axes, (person, week) in zip(rows, weeks.items(), strict=True):
        vendor = next(iter(week.values())).vendor
        _draw_person(axes, week, (captions or {}).get(person, f"{person}, {vendor}"))
    seen = {Reason(why) for week in weeks.values() for day in week.values() for why in np.unique(_shown(day))}
    handles = [Patch(color=_SLEEP, label="asleep"), Patch(color=_EXERCISE, label="exercise, walks")]
    handles += [
        Patch(facecolor=c, edgecolor="#999999", lw=0.4, label=name) for r, (name, c) in _GAPS.items() if r in seen
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=9, frameon=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DPI, format="png")
    Image.open(drawn).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


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
        for reason, (_, colour) in _GAPS.items():
            picture[:, place * _POINTS : (place + 1) * _POINTS][why == reason] = to_rgb(colour)
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
    text: dict[str, Any] = {"fontsize": 6.5, "color": lane.colour, "clip_on": False}
    unit = "/min" if lane.signal == "steps" else unit
    axes.text(-0.04, floor, f"{lane.low:g}", ha="right", va="bottom", **text)
    axes.text(-0.04, floor + room, f"{lane.high:g} {unit}", ha="right", va="top", **text)
    axes.text(DAYS + 0.03, floor + room / 2, lane.label, ha="left", va="center", **(text | {"fontsize": 8}))


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
        axes.text(place + 0.5, -0.3, date, ha="center", va="top", fontsize=7, color="#444444")
    axes.tick_params(which="both", length=2, width=0.5)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set(linewidth=0.5, color="#8a8a8a")
    axes.set_title(caption, loc="left", fontsize=9, pad=2)
