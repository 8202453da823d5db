"""Skin: temperature and conductance under the watch, from heat, blood flow, sweat and the sympathetic nerves.

Temperature is a balance: blood brings heat to the wrist, air (or water, or a bed's warm air) takes it away, and the
skin lies between the two by the share of each. Vessels open before and in sleep [1], after a meal, with alcohol and
in the heat of long exercise; they close when exercise starts, under stress and in the cold. So a person with open
vessels is warmer, and air matters less to them, as it does to everybody asleep.

Conductance is the tonic level of sweat: a person's log-normal level, times heat (warm air, work, fever, alcohol),
times arousal and water, which moisten fast and dry slowly, times slow changes of hours and days. Deep sleep has storms
of sympathetic activity [2]. A minute's value follows LSM-1 [3]: the level is smoothed by a median over five minutes;
the value is the centre and the slope the steepness of a line through a minute of it. ``reference.conductance`` makes
the same from single sweat bursts at sensor rate.

[1] Wei & Boger, JMIR mHealth uHealth 9:e26462, 2021, Table 5. [2] Sano, Picard & Stickgold, Int. J. Psychophysiology,
2014. [3] Narayanswamy, Liu et al., arXiv:2410.13638, section 3.1 and Table 18.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, lane_key, unit, wander
from simulator.population import Person
from simulator.routine import Activity, Routine, Stage

BLOOD_CELSIUS: Final = 35.4  # degC, blood that reaches the wrist: 36.8 less what veins take back; judgement
FEVER_CELSIUS: Final = 2.5  # degC, blood over normal in a fever of 39.5
SKIN_MINUTES: Final = 12.0  # min, time constant of skin and case seated indoors; 10 to 15 for a strapped sensor [1]
SEATED_FLOW: Final = 3.5  # heat from blood over heat to air, seated at 22 degC: skin 3/4 of the way from air to blood
INDOORS_CELSIUS: Final = 22.0  # degC, air in which neither vessels nor sweat glands are asked for anything
_SLEEP_LOG: Final = 0.62  # ln(flow), asleep over awake: skin 2.5 degC warmer young, 2.0 older, bed included [1]
_SLEEP_LOG_PER_YEAR: Final = -0.012  # ln(flow) a year of age from 40 on [1]
_AGE_LOG_PER_YEAR: Final = 0.006  # ln(flow) a year of age from 40 on, awake and asleep: older wrists warmer awake [1]
_REST_LOG: Final = 0.25  # ln(flow), lying quietly: with the bed's air the 0.6 degC in the 10 min before sleep (norms)
_OWN_LOG: Final = 0.72  # ln(flow) per degC of a person's offset: people differ by 2.2 awake (E4), 0.6 asleep (norms)
_OWN_CELSIUS: Final = 0.40  # degC per degC of the offset that is the sensor's place, whatever the flow; judgement
_EFFORT_LOG: Final = -1.6  # ln(flow) per unit of new intensity: -0.8 degC in 15 min of exercise (norm tmp_exercise_dip)
_WORK_LOG: Final = 0.9  # ln(flow) per unit of sustained intensity: the heat's way out; judgement
_SUSTAINED_MINUTES: Final = 20.0  # min, until work is felt as heat; judgement
_REFLEX_LOG: Final = 0.02  # ln(flow) per degC of air: vessels open in the warm; slope 0.25 to 0.3 in all (norms)
_AROUSAL_FLOW_LOG: Final = -0.12  # ln(flow) per unit of arousal: distal skin 0.3 degC colder; judgement
_ALCOHOL_FLOW_LOG: Final = 0.40  # ln(flow) at a heavy evening's peak: distal skin 1 degC warmer; judgement
_FEVER_FLOW_LOG: Final = 0.25  # ln(flow) in a high fever once it stands; judgement
_MEAL_FLOW_LOG: Final = 0.08  # ln(flow) at a large meal's height; judgement
_CIRCADIAN_FLOW_LOG: Final = 0.12  # ln(flow), cosine half amplitude apart from sleep; judgement
_CIRCADIAN_PEAK_HOURS: Final = 3.6  # clock time of greatest flow, acrophase 4.1 young and 3.05 older [1]
_WIND: Final = 0.8  # heat to the air added per 100 steps a minute: the arm swings through it; judgement
_GESTURE: Final = 0.35  # heat to the air added by arms at chores; judgement
_WATER: Final = 4.0  # heat to water over heat to air, less 1: judgement
_FLOW_NOISE: Final = (0.32, 0.18, 0.10)  # ln(flow), SD of 12 min, of an hour and of a day: SD in 55 min 0.44 degC (E4)
_STRAP_CELSIUS: Final = 0.42  # degC, SD from day to day of how the watch sits: nights differ by 0.51 (norms)
_CONTACT_CELSIUS: Final = 0.15  # degC, SD from minute to minute of how close the skin lies: slope's p5 -0.24 (E4)
_CONTACT_MINUTES: Final = 3.0  # min, in which that is forgotten; E4 .97 .93 .87 at 1, 2, 3 min
_COLDEST, _WARMEST = 16.0, 40.5  # degC, skin that still wears a watch

HEAT_LOG_PER_CELSIUS: Final = 0.08  # ln(uS) per degC of warmth (thermal sweating literature; norm scl_heat)
COLD_SHARE: Final = 0.5  # of it below neutral warmth, where no gland works and skin only dries; judgement
HEAT_RISE_MINUTES: Final = 8.0  # min, body warmth and with it sweat follow heat; judgement
HEAT_FALL_MINUTES: Final = 25.0  # min, sweat dries; judgement
STIR_RISE_MINUTES: Final = 3.0  # min, ducts fill; judgement
STIR_FALL_MINUTES: Final = 12.0  # min, ducts empty and skin dries; judgement
NERVE_MINUTES: Final = 2.0  # min, skin takes up and gives off water
_LEVEL_MICROSIEMENS: Final = 1e-9  # uS, below which a minute counts as level
DRY_MICROSIEMENS: Final = 0.01  # uS, skin without any sweat; judgement
SATURATION_MICROSIEMENS: Final = 45.0  # uS, that no sweating exceeds; palms reach 40 (ambulatory EDA literature)
_WORK_CELSIUS: Final = 32.0  # degC of warmth per unit of intensity above a stroll: factor 5 after vigorous exercise
_STROLL_INTENSITY: Final = 0.15  # share of reserve from which work warms; judgement
_FEVER_SWEAT_CELSIUS: Final = 9.0  # degC of warmth in a high fever: sweat doubles; judgement
_ALCOHOL_SWEAT_CELSIUS: Final = 3.0  # degC of warmth at a heavy evening's peak; judgement
_MEAL_SWEAT_CELSIUS: Final = 1.5  # degC of warmth at a large meal's height; judgement
_ORDINARY_LOG: Final = 0.45  # ln(uS), what an ordinary waking hour adds to rest: median 0.41 seated (E4)
_EVENING_LOG: Final = 0.18  # ln(uS), cosine half amplitude: 17-20 h over 8-10 h is 1.4 (ambulatory EDA literature)
_EVENING_PEAK_HOURS: Final = 19.0  # clock time of its peak; same source
_AROUSAL_LOG: Final = 0.30  # ln(uS) per unit of arousal; judgement
_WET_LOG: Final = 1.2  # ln(uS), water between skin and electrodes; judgement
_STORM_LOG: Final = 4.8  # ln(uS) asked for in the minute a storm breaks: 1.3 at its peak; judgement after [2]
_STORMS_PER_MINUTE: Final = 0.02  # in deep sleep, a quarter of it in light sleep; judgement after [2]
_NERVE_NOISE: Final = (0.65, 0.56, 0.60)  # ln(uS), SD of minutes, of an hour and of a day: 0.42 in 55 min (E4)
_NERVE_FAST_MINUTES: Final = 12.0  # min; ln level .98/.72/.36 at 1/10/60 min with the hour's (real recordings)

_DEEP, _LIGHT, _AWAKE, _RESTING = int(Stage.DEEP), int(Stage.LIGHT), int(Stage.AWAKE), int(Activity.REST)


# Noise sequences of the skin under a person's key; plain numbers, which compiled code reads for nothing.
_FLOW_LANES: Final = (200, 201, 202)  # minutes, hour, day
_SWEAT_LANES: Final = (203, 204, 205)  # minutes, hour, day
_CONTACT_LANE: Final = 206
_STORM_LANE: Final = 207


Singles = NDArray[np.float32]
Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
_Codes = tuple[Codes, Codes, Flags]
_Tracks = tuple[Singles, ...]


class Balance(NamedTuple):
    """What the wrist's temperature follows, by minute; each float64 [lead_in + 1440].

    Attributes:
        blood_celsius: Temperature of the blood that arrives.
        air_celsius: Temperature of what is around the wrist.
        flow: Heat from blood, in units of the heat that still air takes.
        cooling: Heat taken by what is around, in the same unit.
        strap_celsius: What the sensor shows above the skin: its place and its strap.
    """

    blood_celsius: Floats
    air_celsius: Floats
    flow: Floats
    cooling: Floats
    strap_celsius: Floats


class Drive(NamedTuple):
    """What makes skin sweat, by minute; each float64 [lead_in + 1440].

    Attributes:
        steady_log: ln(uS), the level of these hours: person, clock, drift.
        nerve_log: ln(uS) asked for by the wandering of sympathetic tone, followed within ``NERVE_MINUTES``.
        stirred_log: ln(uS) asked for by arousal, storms and water, which moisten fast and dry slowly.
        warmth_celsius: Warmth above neutral that the body is exposed to: air, work, fever, alcohol.
    """

    steady_log: Floats
    nerve_log: Floats
    stirred_log: Floats
    warmth_celsius: Floats


def skin_temperature(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Floats:
    """Minute means of the temperature under the watch, degC, float64 [lead_in + 1440].

    Args:
        person: Whose skin; the offset is mostly how open their vessels are.
        routine: The day with its lead-in.
        key: The person's, from ``noise.time_key``.
        clock_hours: Clock time of each minute, float64 [lead_in + 1440].
        first_minute: Absolute minute of the first value; addresses the noise.
    """
    return _temperature(*_of_heat(person, routine), key, clock_hours, first_minute)


def heat_balance(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Balance:
    """What the temperature of the skin follows; arguments as for ``skin_temperature``."""
    return Balance(*_balance(*_of_heat(person, routine), key, clock_hours, first_minute))


def _of_heat(person: Person, routine: Routine) -> tuple[_Codes, _Tracks, _Tracks, tuple[float, float, float]]:
    """The first arguments of ``_balance``."""
    offset, aged = person.skin_temperature_offset_celsius, max(person.age_years - 40.0, 0.0)
    own_log = _OWN_LOG * offset + _AGE_LOG_PER_YEAR * aged
    own = (own_log, _OWN_CELSIUS * offset, _SLEEP_LOG + _SLEEP_LOG_PER_YEAR * aged)
    codes = (routine.stage, routine.activity, routine.water)
    tracks = (routine.intensity, routine.upright, routine.arm_motion, routine.cadence, routine.arousal)
    asked = (routine.ambient_celsius, routine.alcohol, routine.fever, routine.digesting)
    return codes, tracks, asked, own


def skin_conductance(
    person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int
) -> tuple[Floats, Floats]:
    """Tonic level, uS, and its slope, uS/min, of the day; float64 [1440] each.

    The level at the end of each minute is the median of the five minutes before it, exact for a course that is
    straight within each minute; a minute's value is the centre of the line between two such levels and its slope is
    their difference.

    Args:
        person: Whose skin.
        routine: The day with its lead-in of at least six minutes.
        key: The person's, from ``noise.time_key``.
        clock_hours: Clock time of each minute, float64 [lead_in + 1440].
        first_minute: Absolute minute of the first value; addresses the noise.
    """
    return _conductance(routine.lead_in_minutes, *_of_sweat(person, routine), key, clock_hours, first_minute)


def sweat_drive(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Drive:
    """What makes skin sweat; arguments as for ``skin_conductance``."""
    return Drive(*_drive(*_of_sweat(person, routine), key, clock_hours, first_minute))


def _of_sweat(person: Person, routine: Routine) -> tuple[Codes, Flags, _Tracks, _Tracks, float]:
    """The first arguments of ``_drive``."""
    tracks = (routine.intensity, routine.arousal, routine.ambient_celsius)
    asked = (routine.alcohol, routine.fever, routine.digesting)
    own_log = float(np.log(person.scl_level_microsiemens)) - _ORDINARY_LOG
    return routine.stage, routine.water, tracks, asked, own_log


@compiled
def daily_cosine(half_amplitude: float, peak_hours: float, clock_hours: Floats) -> Floats:
    """A cosine of the clock with its peak at ``peak_hours``, for consecutive minutes, by turning a pointer."""
    out = np.empty(clock_hours.size)
    angle = (clock_hours[0] - peak_hours) * (np.pi / 12.0)
    x, y = half_amplitude * np.cos(angle), half_amplitude * np.sin(angle)
    turn_x, turn_y = np.cos(np.pi / 720.0), np.sin(np.pi / 720.0)
    for i in range(out.size):
        out[i] = x
        x, y = x * turn_x - y * turn_y, x * turn_y + y * turn_x
    return out


@compiled
def _balance(
    codes: _Codes,
    tracks: _Tracks,
    asked: _Tracks,
    own: tuple[float, float, float],
    key: Key,
    clock_hours: Floats,
    first_minute: int,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """The five arrays of ``Balance``."""
    stage, activity, water = codes
    intensity, upright, arm_motion, cadence, arousal = tracks
    ambient, alcohol, fever, digesting = asked
    own_log, own_celsius, sleep_log = own
    n = stage.size
    fast = wander(key, _FLOW_LANES[0], 12.0, first_minute, n)
    slow = wander(key, _FLOW_LANES[1], 64.0, first_minute, n)
    strap = wander(key, _FLOW_LANES[2], 700.0, first_minute, n)
    contact = wander(key, _CONTACT_LANE, _CONTACT_MINUTES, first_minute, n)
    blood, air, flow, cooling = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    clock = daily_cosine(_CIRCADIAN_FLOW_LOG, _CIRCADIAN_PEAK_HOURS, clock_hours)
    kept = np.exp(-1.0 / _SUSTAINED_MINUTES)
    sustained = np.float64(intensity[0])
    for i in range(n):
        sustained = intensity[i] + (sustained - intensity[i]) * kept
        log = own_log + _FLOW_NOISE[0] * fast[i] + _FLOW_NOISE[1] * slow[i] + _FLOW_NOISE[2] * strap[i]
        if stage[i] != _AWAKE:
            log += sleep_log
        elif activity[i] == _RESTING:
            log += _REST_LOG * (1.0 - upright[i])
        log += clock[i]
        log += _EFFORT_LOG * max(intensity[i] - sustained, 0.0) + _WORK_LOG * sustained
        log += _REFLEX_LOG * (ambient[i] - INDOORS_CELSIUS) + _AROUSAL_FLOW_LOG * arousal[i]
        log += _ALCOHOL_FLOW_LOG * alcohol[i] + _FEVER_FLOW_LOG * fever[i] + _MEAL_FLOW_LOG * digesting[i]
        flow[i] = SEATED_FLOW * np.exp(log)
        blood[i] = BLOOD_CELSIUS + FEVER_CELSIUS * fever[i]
        air[i] = ambient[i]
        cooling[i] = 1.0 + _WIND * 0.01 * cadence[i] + _GESTURE * arm_motion[i] + _WATER * water[i]
        strap[i] = own_celsius + _STRAP_CELSIUS * strap[i] + _CONTACT_CELSIUS * contact[i]
    return blood, air, flow, cooling, strap


@compiled
def _warm(balance: tuple[Floats, Floats, Floats, Floats, Floats]) -> Floats:
    """Minute means of the temperature that follows ``balance``, which is constant within each minute."""
    blood, air, flow, cooling, strap = balance
    n = flow.size
    out = np.empty(n)
    state = (flow[0] * blood[0] + cooling[0] * air[0]) / (flow[0] + cooling[0])
    for i in range(n):
        both = flow[i] + cooling[i]
        target = (flow[i] * blood[i] + cooling[i] * air[i]) / both
        rate = both / (SKIN_MINUTES * (1.0 + SEATED_FLOW))
        kept = np.exp(-rate)
        gap = state - target
        out[i] = min(max(target + gap * (1.0 - kept) / rate + strap[i], _COLDEST), _WARMEST)
        state = target + gap * kept
    return out


@compiled
def _temperature(
    codes: _Codes,
    tracks: _Tracks,
    asked: _Tracks,
    own: tuple[float, float, float],
    key: Key,
    clock_hours: Floats,
    first_minute: int,
) -> Floats:
    """``skin_temperature`` in one go, since handing arrays over to Python and back costs as much as filling them."""
    return _warm(_balance(codes, tracks, asked, own, key, clock_hours, first_minute))


@compiled
def _drive(
    stage: Codes,
    water: Flags,
    tracks: _Tracks,
    asked: _Tracks,
    own_log: float,
    key: Key,
    clock_hours: Floats,
    first_minute: int,
) -> tuple[Floats, Floats, Floats, Floats]:
    """The four arrays of ``Drive``."""
    intensity, arousal, ambient = tracks
    alcohol, fever, digesting = asked
    n = stage.size
    nerve = wander(key, _SWEAT_LANES[0], _NERVE_FAST_MINUTES, first_minute, n)
    slow = wander(key, _SWEAT_LANES[1], 64.0, first_minute, n)
    steady = wander(key, _SWEAT_LANES[2], 900.0, first_minute, n)
    stirred, warmth = np.empty(n), np.empty(n)
    clock = daily_cosine(_EVENING_LOG, _EVENING_PEAK_HOURS, clock_hours)
    storms = lane_key(key, _STORM_LANE)
    for i in range(n):
        stirred[i] = _AROUSAL_LOG * arousal[i] + _WET_LOG * water[i]
        if stage[i] == _DEEP or stage[i] == _LIGHT:
            odds = _STORMS_PER_MINUTE * (1.0 if stage[i] == _DEEP else 0.25)
            if unit(bits(storms, np.uint64(first_minute + i))) < odds:
                stirred[i] += _STORM_LOG
        work = _WORK_CELSIUS * max(intensity[i] - _STROLL_INTENSITY, 0.0)
        ill = _FEVER_SWEAT_CELSIUS * fever[i] + _ALCOHOL_SWEAT_CELSIUS * alcohol[i]
        warmth[i] = ambient[i] - INDOORS_CELSIUS + work + ill + _MEAL_SWEAT_CELSIUS * digesting[i]
        steady[i] = own_log + clock[i] + _NERVE_NOISE[2] * steady[i]
        nerve[i] = _NERVE_NOISE[0] * nerve[i] + _NERVE_NOISE[1] * slow[i]
    return steady, nerve, stirred, warmth


@compiled
def level_of(log: float, warmth_celsius: float) -> float:
    """Conductance, uS, at a log level and a warmth above neutral."""
    share = 1.0 if warmth_celsius > 0.0 else COLD_SHARE
    sweat = np.exp(log + HEAT_LOG_PER_CELSIUS * share * warmth_celsius)
    return float(DRY_MICROSIEMENS + sweat / (1.0 + sweat / SATURATION_MICROSIEMENS))


@compiled
def _moisten(drive: tuple[Floats, Floats, Floats, Floats]) -> Floats:
    """Level at the end of each minute, uS, before the median; what is asked for is constant within each minute."""
    steady, nerve, stirred, warmth = drive
    n = steady.size
    out = np.empty(n)
    kept_nerve = np.exp(-1.0 / NERVE_MINUTES)
    kept_rise, kept_fall = np.exp(-1.0 / STIR_RISE_MINUTES), np.exp(-1.0 / STIR_FALL_MINUTES)
    kept_warming, kept_cooling = np.exp(-1.0 / HEAT_RISE_MINUTES), np.exp(-1.0 / HEAT_FALL_MINUTES)
    tone, moist, warm = nerve[0], stirred[0], warmth[0]
    for i in range(n):
        tone = nerve[i] + (tone - nerve[i]) * kept_nerve
        moist = stirred[i] + (moist - stirred[i]) * (kept_fall if moist > stirred[i] else kept_rise)
        warm = warmth[i] + (warm - warmth[i]) * (kept_cooling if warm > warmth[i] else kept_warming)
        out[i] = level_of(steady[i] + tone + moist, warm)
    return out


@compiled
def five_minute_median(level: Floats, first: int) -> Floats:
    """Median of the five minutes that end with each value, for a course that is straight between values.

    How long the course lies below a level rises with it in straight pieces that meet at the six values, so the
    median lies on the line between the two values nearest to two and a half minutes from either side.

    Args:
        level: float64 [n], values at the end of each minute.
        first: At least 6; the first median returned ends with value ``first - 1``.

    Returns:
        float64 [n - first + 1].

    >>> import numpy as np
    >>> five_minute_median(np.arange(8.0), 6).tolist()
    [2.5, 3.5, 4.5]
    """
    path = level[first - 6 :]
    n = path.size - 5
    low, steep = np.empty(n + 4), np.empty(n + 4)  # of each minute
    for i in range(n + 4):
        width = max(abs(path[i + 1] - path[i]), _LEVEL_MICROSIEMENS)
        low[i] = max(path[i], path[i + 1]) - width
        steep[i] = 1.0 / width
    out = np.empty(n)
    for i in range(n):
        under = min(low[i], low[i + 1], low[i + 2], low[i + 3], low[i + 4])
        over = np.inf
        under_minutes, over_minutes = 0.0, 5.0  # for which the course lies below them
        for k in range(6):
            value = path[i + k]
            minutes = 0.0
            for j in range(5):
                minutes += min(max((value - low[i + j]) * steep[i + j], 0.0), 1.0)
            below = minutes <= 2.5 and value > under
            under, under_minutes = (value, minutes) if below else (under, under_minutes)
            above = minutes >= 2.5 and value < over
            over, over_minutes = (value, minutes) if above else (over, over_minutes)
        between = (2.5 - under_minutes) / max(over_minutes - under_minutes, 1e-9)
        out[i] = under + (over - under) * between
    return out


@compiled
def _conductance(
    lead_in: int,
    stage: Codes,
    water: Flags,
    tracks: _Tracks,
    asked: _Tracks,
    own_log: float,
    key: Key,
    clock_hours: Floats,
    first_minute: int,
) -> tuple[Floats, Floats]:
    """``skin_conductance`` in one go."""
    drive = _drive(stage, water, tracks, asked, own_log, key, clock_hours, first_minute)
    ends = five_minute_median(_moisten(drive), lead_in)
    level, slope = np.empty(ends.size - 1), np.empty(ends.size - 1)
    for i in range(level.size):
        level[i] = 0.5 * (ends[i + 1] + ends[i])
        slope[i] = min(max(ends[i + 1] - ends[i], -9.5), 9.5)
    return level, slope
