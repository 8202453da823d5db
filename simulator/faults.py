"""Faults: what a watch reports although it is wrong, where a gap would have been honest.

Three mechanisms. A watch that does not notice that it was taken off goes on reporting heart rate, frozen or wandering
(``linger``). Beats are lost in blocks of 30 to 45 s on their way out of the watch, which the share of valid intervals
and the statistics show (``dropouts``). A clock is put forward or back (``simulator.clock``).

How to find them: the truth lies beneath, and the recording's events of kind "fault" say where heart rate lingers
("frozen_heart_rate", "phantom_heart_rate") and where clocks changed. Lost beats, hundreds a day where there are any,
are no events: they are what ``rr_valid`` lacks against its truth, and ``dropouts`` lists them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Key, add_wander, bits, compiled, lane_key, normal_at, unit
from simulator.population import Person
from simulator.recording import Event, Reason
from simulator.signals import INDEX, MINUTES_PER_DAY, Sensor
from simulator.vendor import Lingering, Vendor
from simulator.wearing import wear_key

LINGER_MINUTES: Final = (
    64.0,
    679.0,
)  # minutes of one number off the wrist: two examples out of nine (una-sdk issue 282)
SETTLES_BPM: Final = 2.0  # by which the frozen number lies below the last reading, at most: so in six of those nine
LAST_READING_MINUTES: Final = (
    60  # minutes that a reading may be old to linger: the sparsest watch's interval; judgement
)
PHANTOM_BPM: Final = (58.0, 112.0)  # lowest and highest level of a wandering number: judgement
PHANTOM_SD_BPM: Final = 9.0  # its standard deviation about that, over a quarter of an hour: judgement
_PHANTOM_MINUTES: Final = 15.0
BLOCK_SECONDS: Final = (30.0, 45.0)  # s, of lost beats (ryanbr/noop issue 977: one wearer of a WHOOP 5)
BLOCK_LOG_SD: Final = 0.8  # of ln(share lost) between people: so that one in sixteen loses 14 % of 0.04; judgement

_LINGER_LANE, _PHANTOM_LANE, _BLOCK_LANE = 511, 512, 513  # under the wear's key
_OFF, _CHARGER = int(Reason.OFF_WRIST), int(Reason.CHARGING)  # plain numbers for compiled code
_OBSERVED, _NOT_DUE, _MOTION = int(Reason.OBSERVED), int(Reason.SENSOR_OFF), int(Reason.MOTION)
_HEART_RATE, _ON_WRIST = INDEX["heart_rate"], INDEX["on_wrist"]


def linger(
    person: Person, vendor: Vendor, values: NDArray[np.float32], reason: NDArray[np.uint8], day: int
) -> list[Event]:
    """Report heart rate on, in place, for the times off the wrist that the watch does not notice.

    Only what reported can linger: a sensor that has failed, or is dark to save power, stays silent off the wrist too.
    It ends at midnight at the latest, since a day's series is closed then; ``on_wrist`` says 1 meanwhile.

    Args:
        person: Who took it off.
        vendor: The device.
        values: float32 [26, 1440] as measured.
        reason: uint8 [26, 1440] of ``Reason``, of ``find_gaps``.
        day: Days since the cohort's start.

    Returns:
        An event a time, of kind "fault".
    """
    if vendor.heart_rate_lingers <= 0.0 or Sensor.PPG not in vendor.sensors:
        return []
    events = []
    key = wear_key(person)
    for *minutes, u_level in _unnoticed(reason[_HEART_RATE], vendor.heart_rate_lingers, key, day).tolist():
        last, begin, end = map(int, minutes)
        heard = np.arange(begin, end)
        heard = heard[heard % vendor.heart_rate_interval_minutes == 0]
        reported = np.zeros(len(heard), dtype=np.float32)
        if vendor.lingering == Lingering.FROZEN:
            reported += values[_HEART_RATE, last] - np.float32(SETTLES_BPM * u_level)
        else:
            wanders = np.zeros(end - begin)
            add_wander(wanders, PHANTOM_SD_BPM, key, _PHANTOM_LANE, _PHANTOM_MINUTES, day * MINUTES_PER_DAY + begin)
            reported += (PHANTOM_BPM[0] + (PHANTOM_BPM[1] - PHANTOM_BPM[0]) * u_level + wanders)[heard - begin]
        step = vendor.heart_rate_step_bpm
        values[_HEART_RATE, heard] = np.clip(np.round(reported / step) * step if step > 0 else reported, 30.0, 220.0)
        reason[_HEART_RATE, heard] = reason[_ON_WRIST, begin:end] = Reason.OBSERVED
        values[_ON_WRIST, begin:end] = 1.0
        events.append(Event("fault", f"{vendor.lingering}_heart_rate", begin, end))
    return events


@compiled
def _unnoticed(why: NDArray[np.uint8], share: float, key: Key, day: int) -> NDArray[np.float64]:
    """When heart rate lingers: minute of the last reading, begin, end, and a uniform number for each, float64 [n, 4].

    Of each run off the wrist chance says whether it is noticed; what began yesterday ended at midnight.
    """
    own = lane_key(key, _LINGER_LANE)
    shortest, longest = LINGER_MINUTES
    found = np.empty((8, 4))
    n = 0
    for m in range(1, why.size):
        last = m - 1
        while last > 0 and m - last < LAST_READING_MINUTES and (why[last] == _NOT_DUE or why[last] == _MOTION):
            last -= 1
        starts = (why[m] == _OFF or why[m] == _CHARGER) and why[last] == _OBSERVED
        at = np.uint64(3 * (day * MINUTES_PER_DAY + m))
        if starts and n < len(found) and unit(bits(own, at)) < share:
            most = m + int(shortest * (longest / shortest) ** unit(bits(own, at + np.uint64(1))))
            end = m
            while end < min(most, why.size) and (why[end] == _OFF or why[end] == _CHARGER):
                end += 1
            found[n, 0], found[n, 1], found[n, 2], found[n, 3] = last, m, end, unit(bits(own, at + np.uint64(2)))
            n += 1
    return found[:n]


def dropouts(person: Person, vendor: Vendor, first_minute: int, minutes: int) -> NDArray[np.float64]:
    """When beats are lost on their way out of the watch.

    Args:
        person: Whose phone, pocket and strap; the share lost differs between people.
        vendor: The device; ``beats_dropped`` is the median wearer's share.
        first_minute: Absolute: day times 1,440 plus minute.
        minutes: How many.

    Returns:
        float64 [n, 2]: begin and end of each block that begins in them, in minutes from ``first_minute`` on.
    """
    if vendor.beats_dropped <= 0.0:
        return np.empty((0, 2))
    return _blocks(vendor.beats_dropped, wear_key(person), first_minute, minutes)


@compiled
def _blocks(share: float, key: Key, first_minute: int, minutes: int) -> NDArray[np.float64]:
    own = lane_key(key, _BLOCK_LANE)
    shortest, longest = BLOCK_SECONDS[0] / 60.0, BLOCK_SECONDS[1] / 60.0
    lost = min(share * np.exp(BLOCK_LOG_SD * normal_at(own, np.uint64(0))), 0.5)
    chance = lost / (0.5 * (shortest + longest))
    blocks = np.empty((minutes, 2))
    n = 0
    for m in range(minutes):
        at = np.uint64(3 * (first_minute + m) + 1)
        if unit(bits(own, at)) < chance:
            blocks[n, 0] = m + unit(bits(own, at + np.uint64(1)))
            blocks[n, 1] = blocks[n, 0] + shortest + (longest - shortest) * unit(bits(own, at + np.uint64(2)))
            n += 1
    return blocks[:n]


@compiled
def lose(found: NDArray[np.bool_], first: NDArray[np.int64], blocks: NDArray[np.float64]) -> None:
    """Mark the beats of blocks as not found, in place.

    Args:
        found: bool [beats].
        first: int64 [minutes + 1], the first beat of each minute.
        blocks: float64 [n, 2], begin and end in minutes.
    """
    last = first.size - 1
    for k in range(len(blocks)):
        ends = np.empty(2, dtype=np.int64)
        for side in range(2):
            minute = min(int(blocks[k, side]), last - 1)
            share = min(blocks[k, side] - minute, 1.0)
            ends[side] = first[minute] + int(share * (first[minute + 1] - first[minute]))
        for i in range(ends[0], min(ends[1], found.size)):
            found[i] = False
