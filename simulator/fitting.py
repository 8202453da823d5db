"""Fitting: the population whose people, simulated, look like given tables.

In: tables of shares with the noise of their cells, and nothing else of the people whom they count. Out: a
``Population``. Whatever the tables cost their people, fitting adds nothing to it: it is post-processing.

1. Sex, age and devices are read off their tables.
2. Everything else that a population can shift is fitted by simulated moments [1]. A pool of simulated people, each
   from a population of its own with random shifts, is coded in the same bins; the probability of each cell is
   regressed on shifts, their squares, device, sex, age and BMI. That surrogate is matched to the tables by least
   squares, each cell in units of its noise and with a prior on the shifts.
3. A surrogate is wrong by a little. So a cohort of the population found is simulated, and what it misses by is put
   right with the surrogate's slopes; ``corrections`` times.
4. If asked for: what shifts cannot say, a tilt can (``simulator.tilting``): people of the last cohort are weighted by
   an exponential family in their traits until their tables match, as far as noise lets it be known.

[1] Gourieroux, Monfort & Renault, "Indirect inference", J. Applied Econometrics 8, 1993, doi:10.1002/jae.3950080507.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from simulator.cohort import Cohort
from simulator.engines import Processes
from simulator.generating import Engine
from simulator.population import Person, Population
from simulator.randomness import stream, stream_key
from simulator.summaries import BINS, DEVICES, N_SUMMARIES, PLACE, SUMMARIES, Codes, Floats, Period, of_cohort
from simulator.tilting import STEEPEST, TRAITS, terms

Table = tuple[int, ...]
"""Places of the summaries of a table."""

AGES: Final = ("18-29", "30-39", "40-49", "50-59", "60-69")  # as the bins of "age"; the last is cut in two:
_OLDEST: Final = {"70-79": 0.8, "80-94": 0.2}  # US census: a quarter of those over 70 are over 80, fewer wear watches
_LEAST_KNOWN: Final = 0.5  # share of people who told their age or sex, from which on the table is believed
_SEEN_DEVIATIONS: Final = 2.5  # of the noise, above which a device is believed to be there
_BLOCK: Final = 50  # people simulated as one task
_RIDGE: Final = 1e-3  # of the surrogate, per person of the pool
_TILT_PRIOR: Final = 0.25  # standard deviation of a tilt's coefficients
_NOT_SIMULATED: Final = 0.01  # share by which a cell may be off in ways that no population can mend; judgement


@dataclass(frozen=True, slots=True)
class _Shift:
    """A number of a population that is fitted.

    Attributes:
        name: Field of ``Population``.
        size: One prior standard deviation and the pool's furthest, in its unit or, if ``factor``, of its logarithm.
        factor: Whether it multiplies.
    """

    name: str
    size: float
    factor: bool = False

    def value(self, z: float) -> float:
        return math.exp(self.size * z) if self.factor else self.size * z


SHIFTS: Final = (
    _Shift("bmi_factor", 0.25, factor=True),
    _Shift("activity_factor", 0.7, factor=True),
    _Shift("exercise_factor", 0.9, factor=True),
    _Shift("fitness_shift_ml_kg_min", 7.0),
    _Shift("mid_sleep_shift_hours", 1.4),
    _Shift("worn_nights_factor", 2.5, factor=True),
    _Shift("off_wrist_factor", 1.0, factor=True),
    _Shift("attachment_shift", 1.4),
    _Shift("resting_hr_shift_bpm", 8.0),
    _Shift("rmssd_factor", 0.4, factor=True),
    _Shift("sleep_need_shift_minutes", 50.0),
)
TILTED: Final = (
    *TRAITS,
    *(f"{name}*{name}" for name in TRAITS if name not in ("male", "works", "charges_overnight")),
    *(f"age*{name}" for name in TRAITS if name != "age"),
    *(f"male*{name}" for name in TRAITS if name not in ("age", "male")),
    *("walking*exercise", "walking*resting_hr", "bmi*walking", "worn_nights*unworn", "worn_nights*forgetful"),
    *("worn_nights*off_wrist", "worn_nights*charges_overnight", "mid_sleep*sleep_need", "resting_hr*rmssd"),
)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Tables to be met.

    Attributes:
        shares: Each table's shares, by its summaries' places; they may be noisy, negative and off from 1.
        noise: Standard deviation of every cell.
        period: The days that the tables speak of.
    """

    shares: Mapping[Table, NDArray[np.float64]]
    noise: float
    period: Period


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is simulated.

    Attributes:
        pool: People of the surrogate.
        cohort: People of each correction, and of the tilt.
        corrections: How often the shifts are corrected.
        tilted: Whether the population is tilted at the end: closer where mechanisms differ, at the price of 75 more
            numbers that remember a little of who was counted.
    """

    pool: int = 4000
    cohort: int = 3000
    corrections: int = 2
    tilted: bool = False

    @property
    def people(self) -> int:
        """All who are simulated."""
        return self.pool + self.cohort * (self.corrections + 1)


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """How the cells of all tables follow shifts and people: linear in ``_features``; public, whatever it is used for.

    Attributes:
        weights: float64 [features, cells].
        tables: Which.
    """

    weights: NDArray[np.float64]
    tables: tuple[Table, ...] = field(default=())


def fit(
    targets: Targets,
    name: str,
    *,
    seed: int,
    effort: Effort | None = None,
    engine: Engine | None = None,
    surrogate: Surrogate | None = None,
    progress: Callable[[int], None] | None = None,
) -> Population:
    """The population whose simulated people meet the tables.

    Args:
        targets: The tables; all that is known of the people.
        name: Of the population.
        seed: Of the simulated people; the same tables and seed give the same population.
        effort: How much is simulated.
        engine: Who simulates; None: this process.
        surrogate: One made before by ``make_surrogate`` for the same tables and period; made if None.
        progress: Told the number of people simulated so far.
    """
    effort = effort or Effort()
    done = 0

    def tell(people: int) -> None:
        nonlocal done
        done += people
        if progress is not None:
            progress(done)

    tables = tuple(targets.shares)
    if surrogate is None:
        surrogate = make_surrogate(tables, targets.period, seed=seed, people=effort.pool, engine=engine, tell=tell)
    aim = _joined(targets.shares, tables)
    base = read_off(targets, name)
    around = _around(base, seed)
    z = np.zeros(len(SHIFTS))
    offset = np.zeros(len(aim))
    noise = np.hypot(targets.noise, _NOT_SIMULATED)
    z = _solve(surrogate, around, aim - offset, noise, z)
    cohort = base
    for attempt in range(effort.corrections + 1):
        cohort = shifted(base, z)
        people, codes = _simulated(cohort, effort.cohort, targets.period, seed, attempt, engine, tell)
        if attempt < effort.corrections:
            offset = cells(codes, tables).mean(axis=0) - _predicted(surrogate, around, z)
            z = _solve(surrogate, around, aim - offset, noise, z)
        elif effort.tilted:
            cohort = replace(cohort, tilt=_tilt(people, cells(codes, tables), aim, targets.noise))
    return cohort


def make_surrogate(
    tables: Sequence[Table],
    period: Period,
    *,
    seed: int,
    people: int,
    engine: Engine | None = None,
    tell: Callable[[int], None] | None = None,
) -> Surrogate:
    """How the cells follow the shifts, learnt from simulated people alone."""
    tasks = [_Pool(seed, first, min(_BLOCK, people - first), period) for first in range(0, people, _BLOCK)]
    blocks = _done(_simulate_pool, tasks, engine, tell)
    features = np.concatenate([block[1] for block in blocks])
    seen = cells(np.concatenate([block[2] for block in blocks]), tables)
    gram = features.T @ features + _RIDGE * len(features) * np.eye(features.shape[1])
    return Surrogate(weights=np.linalg.solve(gram, features.T @ seen), tables=tuple(tables))


def shifted(base: Population, z: Floats) -> Population:
    """A population with the shifts at ``z`` prior standard deviations."""
    return replace(base, **{shift.name: shift.value(float(at)) for shift, at in zip(SHIFTS, z, strict=True)})  # type: ignore[arg-type]


def read_off(targets: Targets, name: str) -> Population:
    """The population with sex, age and devices as their tables have them; the default where they do not say."""
    changes: dict[str, Any] = {}
    sex = _known_shares(targets, "sex")
    if sex is not None:
        changes["sex_shares"] = {"female": sex[0], "male": sex[1], "not_specified": 0.0}
    age = _known_shares(targets, "age")
    if age is not None:
        changes["age_shares"] = dict(zip(AGES, age[:-1], strict=True)) | {
            bracket: share * age[-1] for bracket, share in _OLDEST.items()
        }
    device = np.where(
        targets.shares[(PLACE["device"],)][:-1] > _SEEN_DEVIATIONS * targets.noise,
        targets.shares[(PLACE["device"],)][:-1],
        0.0,
    )
    if device.sum() > 0:
        shares = device / device.sum()
        changes["vendor_shares"] = {one: float(share) for one, share in zip(DEVICES, shares, strict=True) if share > 0}
    return Population(name=name, **changes)


def _known_shares(targets: Targets, name: str) -> list[float] | None:
    """Shares of a told attribute among those who told it; None if too few did."""
    known = np.maximum(targets.shares[(PLACE[name],)][:-1], 0.0)
    return None if known.sum() < _LEAST_KNOWN else [float(share) for share in known / known.sum()]


def cells(codes: Codes, tables: Sequence[Table]) -> NDArray[np.float64]:
    """In which cells each person is, float64 [people, cells] of 0 and 1, tables one after the other."""
    blocks = []
    for table in tables:
        shape = tuple(BINS[i] for i in table)
        place = np.ravel_multi_index(tuple(codes[:, i].astype(np.int64) for i in table), shape)
        blocks.append(np.eye(math.prod(shape), dtype=np.float32)[place])
    return np.concatenate(blocks, axis=1)


def _joined(shares: Mapping[Table, NDArray[np.float64]], tables: Sequence[Table]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(shares[table], dtype=np.float64).reshape(-1) for table in tables])


@dataclass(frozen=True, slots=True)
class _Pool:
    """Some people of the pool."""

    seed: int
    first: int
    people: int
    period: Period


def _simulate_pool(task: _Pool) -> tuple[int, NDArray[np.float64], Codes]:
    """People with shifts of their own: first, features and bins."""
    features, codes = [], []
    for index in range(task.first, task.first + task.people):
        z = stream(task.seed, "pool", index).uniform(-1.0, 1.0, len(SHIFTS))
        anybody = Population(
            name="pool",
            sex_shares={"female": 0.5, "male": 0.5},
            age_shares=dict.fromkeys(AGES, 1 / 6) | {b: s / 6 for b, s in _OLDEST.items()},
            vendor_shares=dict.fromkeys(DEVICES, 1 / len(DEVICES)),
        )
        cohort = Cohort(
            population=shifted(anybody, z),
            people=1,
            days=task.period.days,
            seed=stream_key(task.seed, "pool") % 2**63,
            start=task.period.start,
            first_person=index,
            with_truth=False,
        )
        features.append(_features([cohort.person(0)], [cohort.vendor_of(0).name], z)[0])
        codes.append(of_cohort(cohort, task.period))
    return task.first, np.array(features), np.concatenate(codes)


def _features(people: Sequence[Person], devices: Sequence[str], z: Floats) -> NDArray[np.float64]:
    """What a cell's probability is linear in: float64 [people, features]."""
    age = np.array([(person.age_years - 47.0) / 15.0 for person in people])
    male = np.array([float(person.sex == "male") for person in people])
    is_old = np.searchsorted(SUMMARIES[PLACE["age"]].edges, [person.age_years for person in people], side="right")
    own = [
        np.ones(len(people)),
        male,
        age * male,
        *np.eye(len(AGES) + 1)[is_old].T,
        *np.array([[device == one for one in DEVICES] for device in devices], dtype=np.float64).T,
    ]
    shifts = [np.full(len(people), value) for value in (*z, *(z * z - 1 / 3))]
    with_age = [value * age for value in z]
    return np.stack([*own, *shifts, *with_age], axis=1)


def _around(base: Population, seed: int) -> tuple[list[Person], list[str]]:
    """People whose age, sex and device the surrogate is averaged over."""
    own = stream_key(seed, "around") % 2**63
    return [base.person(own, i) for i in range(400)], [base.vendor(own, i).name for i in range(400)]


def _predicted(surrogate: Surrogate, around: tuple[list[Person], list[str]], z: Floats) -> NDArray[np.float64]:
    found: NDArray[np.float64] = _features(*around, z).mean(axis=0) @ surrogate.weights
    return found


def _solve(
    surrogate: Surrogate, around: tuple[list[Person], list[str]], aim: NDArray[np.float64], noise: float, z: Floats
) -> Floats:
    """The shifts that meet the aim best: cells in units of noise, shifts in units of the prior."""
    middle = _features(*around, np.zeros(len(SHIFTS))).mean(axis=0)
    age = float(np.mean([(person.age_years - 47.0) / 15.0 for person in around[0]]))
    n = len(middle) - 3 * len(SHIFTS)

    def misses(at: Floats) -> Floats:
        features = np.concatenate([middle[:n], at, at * at - 1 / 3, at * age])
        return np.concatenate([(features @ surrogate.weights - aim) / noise, at])

    found = least_squares(misses, np.clip(z, -1.4, 1.4), bounds=(-1.5, 1.5), x_scale=0.1)
    return np.asarray(found.x, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Some:
    """Some people of a cohort."""

    cohort: Cohort
    period: Period


def _simulate_some(task: _Some) -> tuple[int, list[Person], Codes]:
    people = [task.cohort.person(i) for i in range(task.cohort.people)]
    return task.cohort.first_person, people, of_cohort(task.cohort, task.period)


def _simulated(
    population: Population,
    people: int,
    period: Period,
    seed: int,
    attempt: int,
    engine: Engine | None,
    tell: Callable[[int], None] | None,
) -> tuple[list[Person], Codes]:
    """People of a population and their bins; others in each attempt."""
    tasks = [
        _Some(
            Cohort(
                population=population,
                people=min(_BLOCK, people - first),
                days=period.days,
                seed=stream_key(seed, "cohort", attempt) % 2**63,
                start=period.start,
                first_person=first,
                with_truth=False,
            ),
            period,
        )
        for first in range(0, people, _BLOCK)
    ]
    blocks = _done(_simulate_some, tasks, engine, tell)
    return [person for block in blocks for person in block[1]], np.concatenate([block[2] for block in blocks])


def _done(
    work: Callable[[Any], Any], tasks: Sequence[Any], engine: Engine | None, tell: Callable[[int], None] | None
) -> list[Any]:
    """The results of tasks in their order."""
    results = []
    for result in map(work, tasks) if engine is None else engine.run(work, tasks):
        results.append(result)
        if tell is not None:
            tell(len(result[-1]))
    return sorted(results, key=lambda result: result[0])


def _tilt(
    people: Sequence[Person], seen: NDArray[np.float64], aim: NDArray[np.float64], noise: float
) -> dict[str, float]:
    """The tilt under which these people meet the aim best, cells in units of noise and a prior on its coefficients."""
    phi = terms(TILTED, people)
    phi = phi - phi.mean(axis=0)
    share = seen.mean(axis=0)
    spread = noise**2 + share * (1 - share) / len(people)  # of a cell: by the release, and by who was simulated

    def loss(at: Floats) -> tuple[float, Floats]:
        weights = _softmax(phi @ at)
        missed = weights @ seen - aim
        pull = seen @ (missed / spread)
        slope = phi.T @ (weights * (pull - weights @ pull)) + at / _TILT_PRIOR**2
        return float((missed**2 / spread).sum() + at @ at / _TILT_PRIOR**2) / 2, slope

    bounds = [(-STEEPEST, STEEPEST)] * len(TILTED)
    found = minimize(loss, np.zeros(len(TILTED)), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return {name: round(float(value), 6) for name, value in zip(TILTED, found.x, strict=True)}


def _softmax(log_odds: Floats) -> Floats:
    weights: Floats = np.exp(log_odds - log_odds.max())
    weights /= weights.sum()
    return weights


def processes(workers: int) -> Engine | None:
    """An engine of so many processes; None, this process, for one."""
    return None if workers == 1 else Processes(workers)


assert len(BINS) == N_SUMMARIES
