"""The scores that fill the tables, by name, and what each needs to be done before.

A score gives *figures*: the place in a table (table, group, line, metric, column) with a value and its 95 % interval
over people. ``model.papers.tables`` sets the papers' numbers beside them.
"""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from model.autoencoder import SIZES, Architecture, MaskedAutoencoder
from model.evaluation import discriminative, generative
from model.evaluation.baselines import FILLS
from model.evaluation.embeddings import Embedded, clusters
from model.evaluation.imputers import BY_MINUTE, METHODS, Autoencoder, LearnedWindows, Learning
from model.evaluation.labels import TASKS, NotEnoughError, Pool, examples
from model.evaluation.probes import ProbePlan, fit, keep_means, mean_embeddings, paper_plan
from model.evaluation.robustness import AS_WORN, Worn, cases, pieces
from model.evaluation.scores import accuracy, with_interval
from model.papers.bench import POOL_ARRAYS, Bench, load_days, load_pool, take_rows
from model.papers.oracles import LIVES, Routine, Truth, relived
from model.papers.plan import (
    BASE,
    MINUTES,
    PATCHES,
    RATIOS,
    SHARES,
    STRATEGIES,
    Plan,
    people_of,
    scaled,
)
from model.training import parameters
from simulator.randomness import stream
from simulator.realism.fingerprint import GAPS_MINUTES
from simulator.realism.windows import METHODS as RULES
from simulator.realism.windows import METRICS, WINDOWS_EACH, GapScores, PersonWindows
from simulator.recording import DataError
from simulator.signals import N_SIGNALS, SIGNALS

FILLERS: Final = ("aim", "aim-papers", "aim-quarter", "lsm1")
PRETRAINED: Final = ("lsm1", "simclr", "dino", "msn", "aim")
CLASSES: Final = ("exercise", "activity", "sex", "age", "mood")
PERSONAL: Final = ("hypertension", "anxiety", "activity20", "age_years", "bmi")
HOURS_LINES: Final = ("0.005 M hours", "0.05 M hours", "6.6 M hours")  # the paper's, of which ``SHARES`` stand
_SPAN_MINUTES: Final = 60  # of a window, removed for the robustness table

Figure = dict[str, Any]


def figure(
    table: str,
    group: str,
    line: str,
    metric: str,
    column: str | int,
    value: float,
    interval: Sequence[float] | None = None,
    **facts: Any,
) -> Figure:
    """A value at its place in a table."""
    place = {"table": table, "group": group, "line": line, "metric": metric, "column": str(column)}
    return place | {"value": float(value), "interval": None if interval is None else list(interval)} | facts


def _filled(rows: Iterable[generative.Row], lines: Iterable[str] | None = None) -> list[Figure]:
    """Rows of all signals as figures of Table 3(a)."""
    wanted = None if lines is None else set(lines)
    found = []
    for row in rows:
        if row.signal == "all" and (wanted is None or row.method in wanted):
            facts: Figure = {"saving": row.saving, "saving_interval": row.saving_interval, "people": row.people}
            column = str(row.horizon or 0)
            squared = figure("3a", row.task, row.method, "mse", column, row.mse, row.interval)
            found += [squared | facts, figure("3a", row.task, row.method, "mae", column, row.mae)]
    return found


def score_generative(kind: str) -> Callable[[Bench], dict[str, Any]]:
    """One kind of gap: the models, the simple methods, and the truth."""

    def score(bench: Bench) -> dict[str, Any]:
        dataset, days = bench.test_days()
        everywhere = np.ones((N_SIGNALS, 1), dtype=np.bool_)
        truths = [bench.normaliser().apply(r.truth, everywhere) for r in dataset if r.truth is not None]
        below = replace(days, values=np.stack(truths))
        windows = generative.sample_windows(days, MINUTES, bench.plan.windows_per_person, bench.seed)
        rows = generative.evaluate(
            {name: bench.network(name) for name in FILLERS},
            days,
            minutes=MINUTES,
            windows_per_person=bench.plan.windows_per_person,
            seed=bench.seed,
            chosen=generative.tasks([kind]),
            imputers={"truth": Truth(below.cut(windows, MINUTES)[0])},
        )
        return {"figures": _filled(rows), "windows": len(windows)}

    return score


def score_routine(bench: Bench) -> dict[str, Any]:
    """An oracle that knows what the wearers did, but not the luck of their minutes."""
    _, days = bench.test_days()
    cohort = bench.cohort("test")
    places = {cohort.person_id(i): i for i in range(cohort.people)}
    lived = {
        person: list(relived(cohort, places[person], 2 if bench.plan.test_people < 10 else LIVES))
        for person in sorted(set(days.person))
    }
    everywhere = np.ones((N_SIGNALS, 1), dtype=np.bool_)
    expected = [
        bench.normaliser().apply(lived[person][day], everywhere)
        for person, day in zip(days.person, days.date_index.tolist(), strict=True)
    ]
    windows = generative.sample_windows(days, MINUTES, bench.plan.windows_per_person, bench.seed)
    cut, _ = replace(days, values=np.stack(expected)).cut(windows, MINUTES)
    rows = generative.evaluate(
        {"lsm1": bench.network("lsm1")},
        days,
        minutes=MINUTES,
        windows_per_person=bench.plan.windows_per_person,
        seed=bench.seed,
        imputers={"routine": Routine(cut)},
    )
    return {"figures": _filled(rows, ["routine"])}


def score_mice(bench: Bench) -> dict[str, Any]:
    """Chained equations on some people's windows: fitted on each alone, as LSM-1 does, and on all with the clock.

    They are dear, so the windows are few; linear interpolation on the same ones stands beside them.
    """
    _, days = bench.test_days(bench.plan.mice_people)
    rows = generative.evaluate(
        {"lsm1": bench.network("lsm1")},
        days,
        minutes=MINUTES,
        windows_per_person=1,
        seed=bench.seed,
        imputers={name: BY_MINUTE[name](bench.seed) for name in ("mice_alone", "mice")},
    )
    linear = {(r.task, r.horizon): r.mse for r in rows if r.method == "linear" and r.signal == "all"}
    found = _filled(rows, ["mice_alone", "mice"])
    for each in found:
        each["linear_mse"] = linear[each["group"], int(each["column"]) or None]
    return {"figures": found, "people": bench.plan.mice_people}


def score_learned(bench: Bench) -> dict[str, Any]:
    """SAITS, trained on the same people, on the same windows; a sentence instead, where PyPOTS is not installed."""
    taught = load_days(bench)
    windows = taught.usable(MINUTES)
    windows = windows[stream(bench.seed, "papers", "saits").permutation(len(windows))[:1024]]
    began = time.process_time()
    try:
        imputer = LearnedWindows.saits(Learning(*taught.cut(windows, MINUTES), bench.seed), bench.plan.epochs)
    except DataError as why:
        return {"figures": [], "absent": {"saits": str(why)}}
    trained = time.process_time() - began
    _, days = bench.test_days()
    rows = generative.evaluate(
        {"lsm1": bench.network("lsm1")},
        days,
        minutes=MINUTES,
        windows_per_person=bench.plan.windows_per_person,
        seed=bench.seed,
        imputers={"saits": imputer},
    )
    return {"figures": _filled(rows, ["saits"]), "training_cpu_seconds": round(trained, 1)}


def score_reading(bench: Bench) -> dict[str, Any]:
    """The simple rules as LSM-1's text has it: gaps filled before, and what was filled scored, too."""
    dataset = bench.dataset("test")
    by_person: dict[str, PersonWindows] = {}
    for recording in dataset:
        kept = by_person.setdefault(recording.person, PersonWindows(WINDOWS_EACH, bench.plan.test_days))
        kept.add(recording)
    windows = np.stack([window for person in by_person.values() for _, window in person.kept])
    scores = GapScores.of_windows(windows)
    found = []
    for task, group in (("interpolation", "temporal_interpolation"), ("extrapolation", "temporal_extrapolation")):
        for rule in RULES:
            for gap in GAPS_MINUTES:
                sums = scores.of(gap, rule, inside=task == "interpolation").sum(axis=(1, 2))
                for i, metric in enumerate(METRICS):
                    found.append(figure("reading", group, rule, metric, gap, sums[i] / sums[2]))
    return {"figures": found, "windows": len(windows)}


def _variants(
    table: str, models: Sequence[tuple[str, str]], group: str = "60 min"
) -> Callable[[Bench], dict[str, Any]]:
    """Score models (line, name) as LSM-1's ablations do: interpolation and extrapolation over an hour."""

    def score(bench: Bench) -> dict[str, Any]:
        return {"figures": _sixty(bench, table, models, group)}

    return score


def _sixty(
    bench: Bench, table: str, models: Sequence[tuple[str, str]], group: str, *, random: bool = False
) -> list[Figure]:
    _, days = bench.test_days()
    asked = [generative.Task("temporal_interpolation", 60), generative.Task("temporal_extrapolation", 60)]
    asked += [generative.Task("random_imputation")] if random else []
    rows = generative.evaluate(
        {line: bench.network(name) for line, name in models},
        days,
        minutes=MINUTES,
        windows_per_person=bench.plan.windows_per_person,
        seed=bench.seed,
        chosen=asked,
    )
    lines = dict(models)
    found = []
    for row in rows:
        if row.signal == "all" and row.method in lines:
            column = row.task.removeprefix("temporal_").removesuffix("_imputation")
            found.append(figure(table, group, row.method, "mse", column, row.mse, row.interval, saving=row.saving))
            found.append(figure(table, group, row.method, "mae", column, row.mae))
    return found


def score_scaling(bench: Bench) -> dict[str, Any]:
    """Table 9: two sizes by three amounts of data, under the names of the paper's sizes and hours they stand for."""
    plan = bench.plan
    found: list[Figure] = []
    for size, group in ((plan.size, "tiny"), (plan.larger, "small")):
        models = [(line, scaled(size, share, plan)) for line, share in zip(HOURS_LINES, SHARES, strict=True)]
        found += _sixty(bench, "9", models, group, random=True)
    return {"figures": found, "hours": {line: _hours(share, plan) for line, share in _hours_lines()}}


def _hours_lines() -> list[tuple[str, float]]:
    return list(zip(HOURS_LINES, SHARES, strict=True))


def _hours(share: float, plan: Plan) -> int:
    return 24 * plan.train_days * people_of(share, plan)


def score_costs(bench: Bench) -> dict[str, Any]:
    """Tables 6 and 8 without training: parameters and multiply-adds of LSM-1's own sizes."""
    found = []
    for name in ("tiny", "small", "base", "large"):
        size = SIZES[f"lsm1-{name}"]
        found.append(figure("8", "size", name, "parameters", "parameters_million", count_parameters(size) / 1e6))
        found.append(figure("8", "size", name, "gflops", "gflops", size.encoder_multiply_adds / 1e9))
    for minutes, signals in PATCHES:
        cut = replace(SIZES["lsm1-base"], patch_minutes=minutes, patch_signals=signals)
        found.append(
            figure("6-cost", "LSM-Base", f"{minutes}x{signals}", "gflops", "gflops", cut.encoder_multiply_adds / 1e9)
        )
    return {"figures": found}


def count_parameters(size: Architecture) -> int:
    """Parameters of a size without building it: they are linear in both depths.

    >>> count_parameters(SIZES["xxs"]) == parameters(MaskedAutoencoder(SIZES["xxs"]))
    True
    """
    one, deeper, wider = (
        parameters(MaskedAutoencoder(replace(size, depth=depth, decoder_depth=decoder)))
        for depth, decoder in ((1, 1), (2, 1), (1, 2))
    )
    return one + (size.depth - 1) * (deeper - one) + (size.decoder_depth - 1) * (wider - one)


def _probe_plan(plan: Plan) -> Callable[[str, str], ProbePlan]:
    """The paper's settings; of what trains the encoder, fewer steps of fewer windows at a higher rate."""

    def choose(task: str, method: str) -> ProbePlan:
        paper = paper_plan(task, method)
        if method in ("fine_tune", "supervised"):
            steps = plan.tune_steps
            return replace(
                paper,
                steps=steps,
                warmup_steps=max(1, steps // 20),
                batch_windows=plan.tune_windows,
                learning_rate=plan.tune_rate,
                dropout=min(paper.dropout, 0.1),
            )
        if plan.tune_steps < paper.steps // 20:  # a plan for tests
            return replace(paper, steps=plan.tune_steps, warmup_steps=1, batch_windows=plan.tune_windows)
        return paper

    return choose


def _told(
    bench: Bench,
    name: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    shots: Sequence[int | None] = (None,),
) -> discriminative.Table:
    kinds = {kind for task in tasks for kind in TASKS[task].kinds}
    return discriminative.evaluate(
        bench.network(name),
        bench.normaliser(),
        bench.dataset("labels"),
        tasks=tasks,
        methods=methods,
        shots=shots,
        mix="sampled",
        plan=_probe_plan(bench.plan),
        seed=bench.seed,
        pool=load_pool(bench, kinds),
    )


def _line(name: str, method: str) -> str:
    """A pretrained encoder and how it is read; others alone."""
    return f"{name},{method}" if method in ("linear_probe", "convolutional_probe", "fine_tune") else method


def score_classes(name: str) -> Callable[[Bench], dict[str, Any]]:
    """Tables 3(b), 3(c) and 14 of one pretrained encoder; beside LSM-1 also the methods without one."""

    def score(bench: Bench) -> dict[str, Any]:
        methods = ["linear_probe"] if name == "aim" else ["linear_probe", "fine_tune"]
        if name == "lsm1":
            methods += [
                "convolutional_probe",
                "supervised",
                "logistic_regression",
                "random_forest",
                "gradient_boosting",
            ]
        table = _told(bench, name, CLASSES, methods)
        found = [
            figure(
                "3bc" if row.task in ("exercise", "activity") else "14",
                row.task,
                _line(name, row.method),
                row.metric,
                row.metric,
                row.value,
                row.interval,
                windows=row.n,
                people=row.people,
            )
            for row in table.rows
            if row.group == "all"
        ]
        confusions = [c.as_json() for c in table.confusions if c.task == "activity" and c.method == "linear_probe"]
        return {"figures": found, "absent": _absent(table), "confusions": confusions}

    return score


def _absent(table: discriminative.Table) -> dict[str, str]:
    """By task, why it could not be asked."""
    return {why.split(":")[0]: why for why in table.left_out}


def score_few(bench: Bench) -> dict[str, Any]:
    """Table 11."""
    methods = ["linear_probe", "convolutional_probe", "fine_tune", "supervised"]
    table = _told(bench, "lsm1", ("exercise", "activity"), methods, bench.plan.shots)
    found = [
        figure("11", row.task, row.method, row.metric, row.shots or 0, row.value, row.interval)
        for row in table.rows
        if row.group == "all"
    ]
    return {"figures": found, "absent": _absent(table)}


def score_hours(bench: Bench) -> dict[str, Any]:
    """Table 10: linear probes of encoders that saw few and many people."""
    found, absent = [], dict[str, str]()
    for line, share in _hours_lines():
        table = _told(bench, scaled(bench.plan.size, share, bench.plan), ("exercise", "activity"), ["linear_probe"])
        absent |= _absent(table)
        found += [
            figure("10", row.task, line, row.metric, row.metric, row.value, row.interval)
            for row in table.rows
            if row.group == "all" and row.metric in ("accuracy", "map")
        ]
    return {
        "figures": found,
        "absent": absent,
        "hours": {line: _hours(share, bench.plan) for line, share in _hours_lines()},
    }


def score_personal(name: str) -> Callable[[Bench], dict[str, Any]]:
    """LSM-2's tasks by a linear probe of one encoder; beside LSM-1 also the methods without one."""

    def score(bench: Bench) -> dict[str, Any]:
        methods = ["linear_probe"]
        if name == "lsm1":
            methods += ["supervised", "logistic_regression", "random_forest", "gradient_boosting"]
        table = _told(bench, name, PERSONAL, methods)
        found = [
            figure(
                "lsm2",
                row.task,
                _line(name, row.method),
                row.metric,
                row.metric,
                row.value,
                row.interval,
                people=row.people,
            )
            for row in table.rows
            if row.group == "all"
        ]
        return {"figures": found, "absent": _absent(table)}

    return score


def score_robust(bench: Bench) -> dict[str, Any]:
    """Linear probes of AIM and LSM-1 trained on whole windows and asked without a sensor or an hour, paired."""
    found: list[Figure] = []
    absent: dict[str, str] = {}
    for name in ("aim", "lsm1"):
        network = bench.network(name)
        for task in ("exercise", "activity", "sex"):
            pool = load_pool(bench, TASKS[task].kinds)
            try:
                asked = examples(pool, TASKS[task], mix="sampled", seed=bench.seed)
            except NotEnoughError as why:
                absent[task] = str(why)
                continue
            rows = asked.rows[asked.tested]
            cut = {removed: _without(take_rows(pool, rows), removed) for removed in removals()}
            stacked = _stacked([pool, *cut.values()])
            plan = _probe_plan(bench.plan)(task, "linear_probe")
            learnt = np.flatnonzero(~asked.tested)
            means = keep_means(network, stacked, bench.seed)
            predict = fit("linear_probe", network, stacked, asked, learnt, seed=bench.seed, plan=plan, means=means)
            places = {"nothing": rows} | {
                removed: len(pool) + i * len(rows) + np.arange(len(rows)) for i, removed in enumerate(cut)
            }
            target, weight, person = asked.target[asked.tested], asked.test_weight[asked.tested], pool.person[rows]
            whole = None
            for removed, at in places.items():
                value, interval = with_interval(accuracy, predict(at), target, weight, person, bench.seed)
                whole = value if whole is None else whole
                lost = figure("robust", task, removed, "accuracy lost", name, whole - value)
                found.append(lost | {"accuracy": value, "interval_of_accuracy": interval})
    return {"figures": found, "absent": absent}


def removals() -> list[str]:
    """Sensors, and hours of the window."""
    sensors = list(dict.fromkeys(str(signal.sensor) for signal in SIGNALS))
    return sensors + [f"hour {i + 1}" for i in range(MINUTES // _SPAN_MINUTES)]


def _without(pool: Pool, removed: str) -> Pool:
    """The same windows as if a sensor or an hour had not been recorded."""
    observed = pool.observed.copy()
    if removed.startswith("hour "):
        first = (int(removed.removeprefix("hour ")) - 1) * _SPAN_MINUTES
        observed[:, :, first : first + _SPAN_MINUTES] = False
    else:
        observed[:, [str(signal.sensor) == removed for signal in SIGNALS]] = False
    return replace(pool, observed=observed, values=np.where(observed, pool.values, np.float32(0)))


def _stacked(pools: Sequence[Pool]) -> Pool:
    """Windows of several pools of the same people, one after the other."""
    arrays = {name: np.concatenate([getattr(pool, name) for pool in pools]) for name in POOL_ARRAYS}
    return Pool(**arrays, people=pools[0].people)


def score_natural(bench: Bench) -> dict[str, Any]:
    """Imputers in the gaps that the test people's own watches left, beside random gaps of as many cells."""
    dataset, _ = bench.test_days(bench.plan.natural_people)
    normaliser = bench.normaliser()
    worn = Worn.of(list(dataset), normaliser)
    makers: dict[str, Callable[[], Any]] = {
        name: functools.partial(METHODS[name], None, bench.seed) for name in (*FILLS, "mice")
    }
    makers |= {name: functools.partial(_autoencoder, bench, name) for name in FILLERS}
    chosen = [case for case in cases(worn, (), ()) if case.scenario == AS_WORN]
    found = []
    for piece in pieces(makers, worn, chosen, bench.seed):
        score = next(s for s in piece.errors.scores(bench.seed) if s.place == N_SIGNALS)
        found.append(
            figure("natural", "as worn", piece.method, "mse", piece.case.pattern, score.mse, score.interval, n=score.n)
        )
    return {"figures": found, "people": len(set(worn.days.person)), "days": len(worn.days)}


def _autoencoder(bench: Bench, name: str) -> Autoencoder:
    return Autoencoder(bench.network(name))


def score_clusters(bench: Bench) -> dict[str, Any]:
    """Table 12, of frozen encoders."""
    found, absent = [], dict[str, str]()
    pool = load_pool(bench, TASKS["activity"].kinds)
    few = scaled(bench.plan.size, SHARES[0], bench.plan)
    try:
        asked = examples(pool, TASKS["activity"], mix="found", seed=bench.seed)
        for line, name in (("frozen, 49 K hours", few), ("frozen, 6.6 M hours", "lsm1")):
            vectors = mean_embeddings(bench.network(name), pool, asked.rows)
            label = np.array(asked.classes)[asked.target.astype(np.int64)]
            got = clusters(Embedded("activity", vectors, {"label": label}), "label", bench.seed)
            for metric in ("calinski_harabasz", "ari", "nmi"):
                found.append(figure("12", "activity", line, metric, metric, getattr(got, metric), n=got.n))
    except (NotEnoughError, DataError) as why:
        absent["activity"] = str(why)
    return {"figures": found, "absent": absent}


def score_mixes(bench: Bench) -> dict[str, Any]:
    """Table 19: how often people log what."""
    events = [e for recording in bench.dataset("labels") for e in recording.events]
    found = []
    for task, kind in (("activity", "activity"), ("mood", "mood")):
        names = [e.label for e in events if e.kind == kind and e.label in TASKS[task].classes]
        for name in TASKS[task].classes:
            found.append(
                figure("19", task, name, "share", "natural", names.count(name) / max(1, len(names)), n=len(names))
            )
    return {"figures": found}


SCORES: Final[dict[str, Callable[[Bench], dict[str, Any]]]] = {
    **{f"fill {kind}": score_generative(kind) for kind in generative.KINDS},
    "fill learned": score_learned,
    "fill mice": score_mice,
    "fill routine": score_routine,
    "fill reading": score_reading,
    **{f"classes {name}": score_classes(name) for name in PRETRAINED},
    "few shots": score_few,
    "hours": score_hours,
    **{f"personal {name}": score_personal(name) for name in ("aim", "lsm1")},
    "robust": score_robust,
    "natural": score_natural,
    "clusters": score_clusters,
    "mixes": score_mixes,
    "seeds": _variants("seeds", [("1", BASE), ("2", f"{BASE}-2"), ("3", f"{BASE}-3")]),
    "ratios": _variants("4", [(f"{r}", BASE if r == 0.8 else f"ratio-{r}") for r in RATIOS]),
    "masks": _variants("5", [(name, f"masks-{name}" if name != "random" else BASE) for name in STRATEGIES]),
    "patches": _variants("6", [(f"{m}x{s}", BASE if (m, s) == (10, 5) else f"patch-{m}x{s}") for m, s in PATCHES]),
    "orders": _variants(
        "7",
        [
            ("clustered", BASE),
            ("shuffled", "order-shuffled-1"),
            ("shuffled again", "order-shuffled-2"),
            ("apart", "order-apart"),
        ],
    ),
    "scaling": score_scaling,
    "costs": score_costs,
}
"""What fills the tables, by the piece's key."""


_POOL_AND: Final = ("labelled labels",)


def _models(*names: str, also: tuple[str, ...] = ("people test",)) -> Callable[[Plan], tuple[str, ...]]:
    return lambda plan: (*also, *(f"model {name}" for name in names))


def _of_hours(plan: Plan) -> tuple[str, ...]:
    return tuple(f"model {scaled(plan.size, share, plan)}" for share in SHARES)


NEEDS: Final[dict[str, Callable[[Plan], tuple[str, ...]]]] = {
    **{f"fill {kind}": _models(*FILLERS) for kind in generative.KINDS},
    "fill learned": _models("lsm1"),
    "fill mice": _models("lsm1"),
    "fill routine": _models("lsm1"),
    "fill reading": _models(),
    **{f"classes {name}": _models(name, also=_POOL_AND) for name in PRETRAINED},
    "few shots": _models("lsm1", also=_POOL_AND),
    "hours": lambda plan: (*_POOL_AND, *_of_hours(plan)),
    **{f"personal {name}": _models(name, also=_POOL_AND) for name in ("aim", "lsm1")},
    "robust": _models("aim", "lsm1", also=_POOL_AND),
    "natural": _models(*FILLERS),
    "clusters": lambda plan: (*_POOL_AND, "model lsm1", f"model {scaled(plan.size, SHARES[0], plan)}"),
    "mixes": _models(also=("people labels",)),
    "seeds": _models(BASE, f"{BASE}-2", f"{BASE}-3"),
    "ratios": _models(*(BASE if r == 0.8 else f"ratio-{r}" for r in RATIOS)),
    "masks": _models(BASE, *(f"masks-{name}" for name in STRATEGIES[1:])),
    "patches": _models(*(BASE if (m, s) == (10, 5) else f"patch-{m}x{s}" for m, s in PATCHES)),
    "orders": _models(BASE, "order-shuffled-1", "order-shuffled-2", "order-apart"),
    "scaling": lambda plan: (
        "people test",
        *dict.fromkeys(f"model {scaled(size, share, plan)}" for size in (plan.size, plan.larger) for share in SHARES),
    ),
    "costs": _models(also=()),
}
"""By the same key, the pieces that must be done before."""
