"""Traits: how body, conditions, habits, heart and wear hang together in one person.

Each function draws one group of a ``Person``'s fields from numbers of its own and from the groups before it.
Correlations follow published regressions, each cited on its line ("judgement" where no figure was found, "norm" for a
row of the project's table of norms).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from simulator.activities import liking
from simulator.noise import Floats, Key, bits, compiled, lane_key, normal_at, unit

if TYPE_CHECKING:
    from simulator.population import Population
    from simulator.vendor import Vendor

WORK_SHARES: Final = {  # of people under 62 with a job; BLS: 16 % work outside daytime, 4 % nights; feet: judgement
    "office": 0.61,
    "feet": 0.24,
    "shift": 0.11,
    "night": 0.04,
}
STUDYING: Final = ((23.0, 0.42), (30.0, 0.06), (200.0, 0.004))  # (age below, share): US college enrolment, rounded
WORKING: Final = ((62.0, 0.78), (70.0, 0.30), (200.0, 0.05))  # (age below, share): judgement after BLS
AGE_SKEW: Final = {
    "18-39": 0.85,
    "80-94": 1.8,
    "60-79": 1.35,
}  # power on the uniform within a bracket; SD 14 y (Quer 2020)
NIGHT_LOG_ODDS: Final = 3.6  # of wearing it in a night, median person; 73.5 % of nights, median person 81 % (LifeSnaps)
NIGHT_SPREAD: Final = 4.0  # SD between people of these log odds: nearly always, or hardly ever (LifeSnaps, NHANES)
SKIN_TONES: Final = ("I", "II", "III", "IV", "V", "VI")  # Fitzpatrick types
ALWAYS_ON: Final = 0.20  # share of people who leave the display always on: judgement

Numbers = tuple[list[float], list[float]]
"""Standard normals and uniforms in (0, 1), as many as any group of traits takes."""
_MOST: Final = 8  # of each


class Trait:
    """Groups of traits, drawn apart from each other. Plain numbers: an enum costs Numba 25 us a call."""

    BODY = 1
    CONDITIONS = 2
    HABITS = 3
    MANNERS = 4
    HEART = 5
    VENDOR = 6


def drawn(key: Key, trait: int) -> Numbers:
    """The numbers of one group of traits.

    Args:
        key: The person's.
        trait: Of ``Trait``.
    """
    normals, uniforms = _drawn(key, trait)
    return normals.tolist(), uniforms.tolist()


@compiled
def _drawn(key: Key, trait: int) -> tuple[Floats, Floats]:
    own = lane_key(key, trait)
    normals, uniforms = np.empty(_MOST), np.empty(_MOST)
    for i in range(_MOST):
        normals[i] = normal_at(own, np.uint64(2 * i))
        uniforms[i] = unit(bits(own, np.uint64(2 * i + 1)))
    return normals, uniforms


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What the rest of a person is drawn from."""

    age_years: float
    sex: str
    male: float  # 1, 0, or 0.5 where not specified
    height_cm: float
    bmi_kg_m2: float
    vigour: float  # standard normal: the part of activity and fitness that neither age nor BMI explains


def age_bounds(bracket: str) -> tuple[float, float]:
    """First and last year (exclusive) of "first-last".

    Raises:
        ValueError: If it is something else.
    """
    first, _, last = bracket.partition("-")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 120):
        raise ValueError(f"Population.age_shares has bracket {bracket!r}, expected 'first-last' in years, e.g. '18-39'")
    return float(first), float(last) + 1.0


def pick(shares: Mapping[str, float], u: float) -> str:
    """The key at which the running share passes ``u`` in [0, 1)."""
    rest = u * sum(shares.values())
    for key, share in shares.items():
        rest -= share
        if rest < 0:
            return key
    return max(shares, key=lambda key: shares[key])


def draw_body(population: "Population", numbers: Numbers) -> Body:
    """Age, sex, height and BMI."""
    (z_height, z_bmi, vigour, *_), (u_sex, u_bracket, u_age, *_) = numbers
    sex = pick(population.sex_shares, u_sex)
    bracket = pick(population.age_shares, u_bracket)
    low, high = age_bounds(bracket)
    age = low + (high - low) * u_age ** AGE_SKEW.get(bracket, 1.0)
    age = min(max(age + population.age_shift_years, 18.0), 95.0)
    male = {"male": 1.0, "female": 0.0}.get(sex, 0.5)
    # cm by sex: NHANES 2009-12, SD 7.2-7.6; 0.06 cm/y after 45: judgement
    height = 161.8 + 14.0 * male + 7.4 * z_height - 0.06 * max(age - 45.0, 0.0)
    # ln(kg/m2) by age: NHANES 2011-14 means rise 18-39 to 40-59 by 5 % and fall by 10 % after 80
    by_age = -0.030 + 0.045 * min(max(age - 30.0, 0.0) / 20.0, 1.0) - 0.10 * min(max(age - 72.0, 0.0) / 12.0, 1.0)
    residual_sd = math.sqrt(max(population.bmi_log_sd**2 - 0.02**2, 0.0))
    bmi = population.bmi_factor * population.bmi_median_kg_m2 * math.exp(by_age + residual_sd * z_bmi)
    return Body(
        age_years=float(age),
        sex=sex,
        male=male,
        height_cm=float(height),
        bmi_kg_m2=float(min(max(bmi, 15.5), 60.0)),
        vigour=float(vigour),
    )


def logistic(x: float) -> float:
    """Probability of log odds ``x``."""
    return 1.0 / (1.0 + math.exp(-x))


def draw_conditions(body: Body, numbers: Numbers) -> dict[str, Any]:
    """Self-reported conditions: hypertension near 26 % of the LSM mix, anxiety 23 % of women and 14 % of men."""
    _, (u_hypertension, u_anxiety, *_) = numbers
    # odds by age and BMI: NHANES 2011-14 prevalences 23, 55, 72 % by age, halved to self-report (norms: 26 %)
    hypertension = -1.42 + 0.058 * (body.age_years - 46.0) + 0.075 * (body.bmi_kg_m2 - 28.0) + 0.20 * body.male
    # past-year anxiety disorder 23.4 % of women, 14.3 % of men (National Comorbidity Survey); falls with age
    anxiety = -1.20 - 0.61 * body.male - 0.018 * (body.age_years - 46.0)
    return {
        "hypertension": bool(u_hypertension < logistic(hypertension)),
        "anxiety": bool(u_anxiety < logistic(anxiety)),
    }


def draw_habits(
    population: "Population", body: Body, conditions: Mapping[str, bool], numbers: Numbers
) -> dict[str, Any]:
    """Sleep, work, walking and exercise; activity falls with age and BMI and shares ``body.vigour`` with fitness."""
    (z_mid, z_need, z_start, z_walk, z_exercise, z_commute, *_), uniforms = numbers
    u_works, u_commute, u_favourite, u_feet, u_shower, u_kind, u_roster, _ = uniforms
    age, bmi, anxiety = body.age_years, body.bmi_kg_m2, conditions["anxiety"]
    work = _work(population, age, u_works, u_kind)
    # clock h: 4.2 over all ages, -0.23 h a decade, SD 1.1 (norms msf_*, bed_*); students later (norm bed_students)
    mid_sleep = 3.93 - 0.023 * (age - 40.0) + 1.05 * z_mid + population.mid_sleep_shift_hours
    mid_sleep += 1.05 * (work == "student")
    # min asleep: women 410, men 386 (Fitbit); SD between people 44 (LifeSnaps); anxiety -12 (norm anx_sleep)
    sleep_need = 421.0 - 22.0 * body.male - 12.0 * anxiety + 47.0 * z_need
    sleep_need += population.sleep_need_shift_minutes
    # clock h: owls get later jobs where they can; SD 1.1: judgement
    start = 8.4 + 0.15 * (mid_sleep - 4.2) + 1.1 * z_start
    # ln(steps): NHANES 2011-14 medians: men +20 %, -17 % from 40-59 to 60-79, -50 % after 80; BMI >= 30 -17 %
    by_age = -0.0018 * (age - 45.0) - 0.011 * max(age - 55.0, 0.0) - 0.035 * max(age - 72.0, 0.0)
    by_body = 0.19 * (body.male - 0.33) - 0.019 * (bmi - 28.0)
    by_health = -0.07 * anxiety - 0.06 * conditions["hypertension"]  # norms anx_steps 0.93, htn_steps 0.91 with BMI
    own = (1.0 + 0.035 * max(age - 54.0, 0.0)) * (
        0.34 * body.vigour + 0.34 * z_walk
    )  # NHANES: p10 and p90 part with age
    walking = -0.42 + by_age + by_body + by_health + own
    # bouts/week other than walks: mean 1.25 (norms act_ls_*, atus_any), most people fewer
    exercise = 0.85 * math.exp(0.45 * body.vigour + 0.75 * z_exercise - 0.012 * (age - 45.0))
    commute = pick(
        {"car": 0.64, "home": 0.20, "transit": 0.09, "walk": 0.06, "bike": 0.01}, u_commute
    )  # US ACS, rounded
    if work in {"feet", "shift", "night", "student"} and commute == "home":
        commute = "walk" if work == "student" else "car"
    on_feet = 0.04 + 0.22 * u_feet**2.0 if work != "feet" else 0.35 + 0.40 * u_feet  # share: judgement
    return {
        "mid_sleep_free_days_hours": float(min(max(mid_sleep, 1.2), 8.5)),
        "sleep_need_minutes": float(min(max(sleep_need, 280.0), 560.0)),
        "works": work != "none",
        "work": work,
        "roster_phase": float(u_roster),
        "work_start_hours": float(min(max(start + 1.2 * (work == "student"), 5.5), 12.0)),
        "activity_level": float(population.activity_factor * math.exp(min(max(walking, -2.2), 1.3))),
        "exercise_per_week": float(population.exercise_factor * min(exercise, 10.0)),
        "favourite_activity": pick(liking(body.male, age), u_favourite),
        "work_on_feet": float(on_feet if work != "shift" else on_feet + 0.25),
        "commute_by": commute,
        "commute_minutes": float(min(max(24.0 * math.exp(0.55 * z_commute), 6.0), 90.0)),  # min, US ACS mean 26-28
        "showers_in_evening": bool(u_shower < 0.38),  # judgement
    }


def _work(population: "Population", age: float, u_works: float, u_kind: float) -> str:
    """A key of ``Person.work``: as the population has it, or by age."""
    if population.work_shares:
        return pick(population.work_shares, u_works)
    studies = next(share for below, share in STUDYING if age < below)
    works = next(share for below, share in WORKING if age < below)
    if u_works < studies:
        return "student"
    return pick(WORK_SHARES, u_kind) if u_works < studies + (1.0 - studies) * works else "none"


def _usual_moods(body: Body, anxiety: bool) -> dict[str, float]:
    """How many people mostly tell each mood: worry goes with anxiety, calm comes with age, vigour makes lively."""
    older = (body.age_years - 46.0) / 14.0
    return {  # LSM-1 Table 19; effects on ln(odds): judgement
        "content": 0.285 * math.exp(0.2 * older + 0.2 * body.vigour),
        "frustrated": 0.105 * math.exp(0.6 * anxiety - 0.3 * older),
        "excited": 0.068 * math.exp(0.8 * body.vigour - 0.3 * older),
        "calm": 0.345 * math.exp(0.4 * older - 0.4 * anxiety),
        "stressed": 0.197 * math.exp(0.9 * anxiety - 0.3 * older - 0.2 * body.vigour),
    }


def draw_manners(
    body: Body, conditions: Mapping[str, bool], mid_sleep_hours: float, numbers: Numbers
) -> dict[str, Any]:
    """Finer habits and temper: what makes one person's days resemble each other."""
    (z_meal, z_drinks, z_ill, z_temper, z_reactive, z_diligent, z_travel, _), uniforms = numbers
    u_drinks, u_early, u_nap, u_mood, *_ = uniforms
    older = max(body.age_years - 43.0, 0.0)
    return {
        "meal_shift_minutes": float(min(max(12.0 * (mid_sleep_hours - 4.2) + 32.0 * z_meal, -90.0), 120.0)),
        # evenings a week: a third of US adults do not drink; the rest 1.5 in the median (NSDUH, rounded)
        "drinks_per_week": float(min(1.5 * math.exp(0.9 * z_drinks), 6.5)) if u_drinks > 0.36 else 0.0,
        "ill_per_year": float(2.2 * math.exp(0.4 * z_ill)),  # adults catch two to three colds a year (CDC)
        "temper": float(z_temper),
        "usual_mood": pick(_usual_moods(body, conditions["anxiety"]), u_mood),
        "diligence": float(0.8 * z_diligent),  # judgement
        "reactivity": float(math.exp(0.35 * z_reactive - 0.06)),  # judgement
        "trains_early": float(u_early),
        # across time zones: mean 0.6; most people of a year make none, judgement
        "journeys_per_year": float(min(0.35 * math.exp(z_travel), 8.0)),
        # share of days with a nap: 0.11 of Fitbit days (norm nap_multi); older people more (UK Biobank, norm nap_ukb)
        "naps": float(min((0.20 + 0.006 * older) * math.exp(0.6 * (2.0 * u_nap - 1.0)), 0.6)),
    }


def draw_heart(
    population: "Population",
    body: Body,
    conditions: Mapping[str, bool],
    habits: Mapping[str, Any],
    numbers: Numbers,
) -> dict[str, Any]:
    """Fitness, heart rate, vagal tone and skin; fit people have slower hearts with more variability."""
    (z_fit, z_rest, z_vagal, z_max, z_scl, z_skin, *_), (u_tone, *_) = numbers
    age, bmi = body.age_years, body.bmi_kg_m2
    active = math.log(habits["activity_level"]) + 0.25 * math.log1p(habits["exercise_per_week"])
    # ml/kg/min: men 43, women 33 at 35 y, -0.35 a year (FRIEND registry, Kaminsky 2015); BMI and activity: judgement
    fitness = 2.2 * body.vigour + 4.0 * z_fit
    vo2max = 32.5 + 9.5 * body.male - 0.33 * (age - 35.0) - 0.38 * (bmi - 27.0) + 3.0 * active + fitness
    vo2max = min(max(vo2max + population.fitness_shift_ml_kg_min, 11.0), 75.0)
    # bpm: men 63.5, women 66.6, peak near 45 y (Fitbit 2018, 108 billion hours); BMI +0.18 a unit, raised pressure +2.9
    # (NHANES 2009-12, adjusted; self-reports are half treated, so 1.5); anxiety +1.5; fitness share -0.45 (norms)
    resting = 64.9 - 2.7 * body.male - 0.0036 * (age - 45.0) ** 2 + 0.15 * (bmi - 28.0)
    resting += 1.5 * conditions["hypertension"] + 1.5 * conditions["anxiety"] - 3.2 * active
    resting += (
        0.9 - 0.62 * (fitness + population.fitness_shift_ml_kg_min) + 6.0 * z_rest + population.resting_hr_shift_bpm
    )
    # ln(ms): night medians 52, 43, 34, 28, 24, 23 by decade from 20-29 (Oura and Fitbit tables, recalled); SD of ln 0.4
    # (LifeSnaps); hypertension -0.12, anxiety g -0.3 (Chalmers 2014)
    young = min(max(age, 20.0), 72.0)
    log_rmssd = math.log(56.0) - 0.0235 * (young - 23.0) + 0.00012 * (young - 23.0) ** 2
    log_rmssd += -0.12 * conditions["hypertension"] - 0.11 * conditions["anxiety"]
    log_rmssd += 0.022 * fitness - 0.23 * z_rest + 0.19 * z_vagal + math.log(population.rmssd_factor)
    return {
        "vo2max_ml_kg_min": float(vo2max),
        "resting_hr_bpm": float(min(max(resting, 38.0), 105.0)),
        "max_hr_bpm": float(min(max(208.0 - 0.7 * age + 9.0 * z_max, 120.0), 220.0)),  # bpm: Tanaka 2001, SD 10
        "rmssd_night_ms": float(min(max(math.exp(log_rmssd), 7.0), 180.0)),
        "scl_level_microsiemens": float(min(max(0.7 * math.exp(0.9 * z_scl), 0.05), 15.0)),  # uS: E4 SD of ln 0.92
        "skin_tone": 1 + SKIN_TONES.index(pick(population.skin_tone_shares, u_tone)),
        "skin_temperature_offset_celsius": float(min(max(0.6 * z_skin, -1.8), 1.8)),  # degC: LifeSnaps SD 0.61
    }


def draw_wear(population: "Population", vendor: "Vendor", rng: np.random.Generator) -> dict[str, Any]:
    """How somebody wears, charges and keeps the watch; habits differ more between people than their bodies do.

    Args:
        population: Whose ``worn_nights_factor`` and ``off_wrist_factor`` shift the habits.
        vendor: The device; a watch that lasts a day is charged overnight by more people.
        rng: The person's stream.

    Returns:
        The fields of ``Person`` that speak of the watch.
    """
    attachment, *own = rng.standard_normal(12).tolist()
    attachment += population.attachment_shift

    def habit(place: int, shared: float) -> float:
        """A standard normal number that correlates with attachment."""
        return float(shared * attachment + math.sqrt(1.0 - shared * shared) * own[place])

    nights = NIGHT_LOG_ODDS + NIGHT_SPREAD * habit(0, 0.9) + math.log(population.worn_nights_factor)
    # charging: evening 45, morning 25, overnight 28 % of daily chargers, overnight 7 % with days of battery (norms)
    overnight = 0.28 if vendor.battery_days <= 2 else 0.07
    shares = {"overnight": overnight, "evening": 0.45, "morning": 0.25, "desk": 0.30 - overnight}
    return {
        "worn_nights": 1.0 / (1.0 + math.exp(-nights)),
        # 0.1 to 1.0 bouts a day, median 25 min for one, 171 for another (Fitabase, Furberg et al. 2016)
        "off_wrist_per_day": population.off_wrist_factor * min(0.28 * math.exp(-1.25 * habit(1, 0.7)), 3.0),
        "charging_habit": pick(shares, _share_below(habit(2, 0.8))),
        "off_in_water": _share_below(habit(3, 0.5)) < 0.40,  # 30-50 % of wearers: judgement
        "off_wrist_minutes": min(max(45.0 * math.exp(0.85 * own[4]), 8.0), 360.0),
        # share of days: mean 0.05 (norm gap_multi 0.06 with weeks and nights of the same day), most people none
        "unworn_days": min(0.016 * math.exp(-1.5 * habit(5, 0.7)), 0.5),
        "forgetful": min(0.022 * math.exp(-1.7 * habit(6, 0.8)), 0.6),  # mean 0.06: judgement
        "always_on_display": bool(rng.random() < ALWAYS_ON),
        "loose_fit": min(0.012 * math.exp(-1.4 * habit(7, 0.6)), 0.4),  # share of time, mean 0.03: judgement
        # times a year: two in three take a holiday from it every other year or so; judgement
        "weeks_off_per_year": min(0.25 * math.exp(-0.8 * habit(8, 0.5)), 4.0),
        "phone_away_per_year": min(0.25 * math.exp(0.8 * own[9]), 6.0),  # times a year: judgement
        # hazard a year: mean 0.18; a third of owners stop within 6 to 12 months of buying one, fewer once in a study
        "quits_per_year": min(0.08 * math.exp(-1.3 * habit(10, 0.7)), 3.0),
    }


def _share_below(z: float) -> float:
    """Share of a standard normal distribution below ``z``."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
