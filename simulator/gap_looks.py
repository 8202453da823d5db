"""How the reasons of gaps look, in every picture: one name, colour and hatch each.

The seven reasons that simulated days are full of have Okabe and Ito's colours, which people with any kind of colour
vision tell apart [1]; the rarer ones lean on hatches, too.

[1] Okabe & Ito, "Color universal design", 2008, https://jfly.uni-koeln.de/color/.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from simulator.recording import Reason


class Look(NamedTuple):
    """What stands in a legend, what an area is filled with, and matplotlib's word for the lines across it."""

    name: str
    colour: str
    hatch: str = ""


LOOKS: Final[Mapping[Reason, Look]] = {
    Reason.SENSOR_ABSENT: Look("no such sensor", "#d9d9d9"),
    Reason.CHARGING: Look("charging", "#f0e442"),
    Reason.OFF_WRIST: Look("off the wrist", "#cc79a7"),
    Reason.SENSOR_OFF: Look("switched off by firmware", "#56b4e9"),
    Reason.MOTION: Look("lost in movement", "#e69f00"),
    Reason.BATTERY_EMPTY: Look("battery empty", "#1a1a1a"),
    Reason.NOT_RECORDED: Look("not recorded", "#b3b3b3", ".."),
    Reason.OUT_OF_RANGE: Look("out of range", "#4d4d4d", "xx"),
    Reason.LOOSE_FIT: Look("worn loosely", "#009e73"),
    Reason.POWER_SAVING: Look("saving power", "#0072b2", "///"),
    Reason.NOT_SYNCED: Look("not synchronised", "#66c2a5", "\\\\\\"),
    Reason.SENSOR_FAILED: Look("sensor failed", "#d55e00", "xx"),
    Reason.TOO_COLD: Look("too cold", "#8da0cb", "++"),
    Reason.DROPPED_OUT: Look("stopped wearing it", "#808080", "///"),
    Reason.CLOCK_CHANGED: Look("clock put forward", "#994f88", "++"),
}
"""Every reason but ``OBSERVED``."""
