"""Labels are told by what windows show: people kept apart, mixes met, planted answers found, chance where none is."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from model.autoencoder import LSM1, Architecture, MaskedAutoencoder
from model.evaluation.discriminative import evaluate
from model.evaluation.labels import TASKS, Examples, NotEnoughError, Pool, examples, gather, groups
from model.evaluation.probes import (
    METHODS,
    NEURAL,
    PLAIN,
    ProbePlan,
    balanced_softmax,
    embedding_grid,
    few_shot,
    fit,
    paper_plan,
)
from model.windows import Normaliser
from simulator.dataset import Dataset
from simulator.randomness import stream
from simulator.realism.difficulty import ACTIVITIES, window_features
from simulator.recording import DataError
from tests.conftest import wavy_days
from tests.planted import AGE, PEOPLE, RESTING
from tests.strategies import seeds

SHAPE = Architecture(
    window_minutes=100,
    patch_signals=5,
    width=16,
    depth=1,
    heads=2,
    decoder_width=16,
    decoder_depth=1,
    decoder_heads=2,
)
QUICK = ProbePlan(learning_rate=0.02, dropout=0.1, steps=60, batch_windows=32, warmup_steps=3)
EVERYBODY = frozenset({"bout", "mood", "any"})


def pool_of(classes: int, people: int, each: int, seed: int, gap_z: float, mark_z: float = 0.0) -> Pool:
    """Windows that lie ``gap_z`` higher in each next class, and whose wearers each have a mark of size ``mark_z``."""
    rng = stream(seed, "pool")
    n = people * each
    values = rng.normal(0, 1, (n, 26, 100)).astype(np.float32)
    person = np.repeat(np.arange(people), each)
    label = rng.integers(0, classes, n)
    values += np.float32(gap_z) * (label - (classes - 1) / 2)[:, None, None].astype(np.float32)
    values[:, 8:] += np.float32(mark_z) * stream(seed, "marks").normal(size=(people, 18, 1)).astype(np.float32)[person]
    observed = rng.random(values.shape) < 0.9
    observed[::3, :, 30:60] = False
    return Pool(
        values=np.where(observed, values, np.float32(0)),
        observed=observed,
        slot=rng.integers(0, 134, n),
        features=np.stack([window_features(v, o) for v, o in zip(values, observed, strict=True)]),
        kind=np.full(n, "bout"),
        label=np.array(ACTIVITIES)[label],
        person=person,
        people=pd.DataFrame({"person": [f"p{i}" for i in range(people)], "age_years": np.linspace(20, 80, people)}),
    )


def accuracy_of(method: str, pool: Pool, asked: Examples, seed: int = 0) -> float:
    network = MaskedAutoencoder(SHAPE, seed)
    learnt = np.flatnonzero(~asked.tested)
    predict = fit(method, network, pool, asked, learnt, seed=seed, plan=QUICK if method in NEURAL else None)
    guess = predict(asked.rows[asked.tested]).argmax(axis=1)
    return float((guess == asked.target[asked.tested]).mean())


@pytest.mark.parametrize("method", METHODS)
def test_planted_classes_are_told(method: str) -> None:
    pool = pool_of(3, people=30, each=8, seed=1, gap_z=1.0)
    assert accuracy_of(method, pool, examples(pool, TASKS["activity"], mix="found", seed=0)) > 0.8


def test_who_somebody_is_tells_nothing_about_others() -> None:
    """Everybody has one activity and a mark of their own: it would tell it perfectly if windows were split."""
    pool = pool_of(2, people=50, each=8, seed=2, gap_z=0.0, mark_z=2.0)
    pool = replace(pool, label=np.array(ACTIVITIES)[stream(3).permutation(50) % 2][pool.person])
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    chance = 0.5 + 3 * 0.5 / np.sqrt(len(np.unique(pool.person[asked.rows[asked.tested]])))
    assert accuracy_of("random_forest", pool, asked) < chance + 0.01
    leaky = replace(asked, tested=stream(4).permutation(asked.tested))  # the fault that the split must not have
    ones = replace(leaky, train_weight=(~leaky.tested).astype(float), test_weight=leaky.tested.astype(float))
    assert accuracy_of("random_forest", pool, ones) > 0.9


def test_answers_of_those_asked_are_never_read() -> None:
    pool = pool_of(3, people=20, each=5, seed=5, gap_z=1.0)
    asked = examples(pool, TASKS["activity"], mix="sampled", seed=0)
    wrong = replace(asked, target=np.where(asked.tested, 2 - asked.target, asked.target))
    rows, learnt = asked.rows[asked.tested], np.flatnonzero(~asked.tested)
    for method in ("linear_probe", "random_forest"):
        plan = QUICK if method in NEURAL else None
        one, two = (
            fit(method, MaskedAutoencoder(SHAPE), pool, e, learnt, seed=0, plan=plan)(rows) for e in (asked, wrong)
        )
        np.testing.assert_array_equal(one, two)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, people=st.integers(5, 40), name=st.sampled_from(["activity", "age", "age_years"]))
def test_people_are_learnt_from_or_asked(seed: int, people: int, name: str) -> None:
    pool = replace(pool_of(2, people, 3, seed=6, gap_z=0), kind=np.full(people * 3, TASKS[name].kinds[0]))
    try:
        asked = examples(pool, TASKS[name], mix="sampled", seed=seed)
    except NotEnoughError:
        assert people < 25
        return
    person = pool.person[asked.rows]
    learnt, told = set(person[~asked.tested]), set(person[asked.tested])
    assert not learnt & told
    if TASKS[name].is_regression:
        assert abs(len(told) - people / 5) <= 1
    assert (asked.train_weight[asked.tested] == 0).all()
    assert (asked.test_weight[~asked.tested] == 0).all()
    assert asked.train_weight[~asked.tested].mean() == pytest.approx(1)


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_moods_are_split_within_people(seed: int) -> None:
    pool = pool_of(3, people=12, each=15, seed=7, gap_z=0)
    moods = np.array(TASKS["mood"].classes)[np.searchsorted(sorted(ACTIVITIES[:3]), pool.label)]
    asked = examples(replace(pool, kind=np.full(len(pool), "mood"), label=moods), TASKS["mood"], mix="found", seed=seed)
    person = pool.person[asked.rows]
    for one in range(12):
        assert 0.1 < asked.tested[person == one].mean() < 0.3


@pytest.mark.parametrize(("mix", "of"), [("sampled", 0), ("sampled", 1), ("natural", 0)])
def test_weights_bring_the_paper_s_mixes(mix: str, of: int) -> None:
    pool = pool_of(8, people=40, each=12, seed=8, gap_z=0)
    asked = examples(pool, TASKS["activity"], mix=mix, seed=0)
    weight = (asked.train_weight, asked.test_weight)[of]
    walking = weight[asked.target == asked.classes.index("walking")].sum() / weight.sum()
    expected = {("sampled", 0): 0.5293, ("sampled", 1): 0.4347, ("natural", 0): 0.8859}[mix, of]  # Table 19
    assert walking == pytest.approx(expected, abs=2e-4)
    found = examples(pool, TASKS["activity"], mix="found", seed=0)
    assert set(found.train_weight.tolist()) == {0.0, 1.0}


@settings(max_examples=20, deadline=None)
@given(seed=seeds, shots=st.integers(1, 20))
def test_few_shots_are_few_of_each_class_and_of_people_to_learn_from(seed: int, shots: int) -> None:
    pool = pool_of(4, people=20, each=6, seed=9, gap_z=0)
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    chosen = few_shot(asked, shots, seed)
    assert not asked.tested[chosen].any()
    assert len(set(chosen.tolist())) == len(chosen)
    for k in range(4):
        assert (asked.target[chosen] == k).sum() == min(shots, (asked.target[~asked.tested] == k).sum())


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_balanced_softmax_weighs_classes_by_their_share(seed: int) -> None:
    """Slow oracle, with one sum at a time; with equal shares it is the cross entropy."""
    rng = stream(seed)
    logits, target = torch.from_numpy(rng.normal(size=(6, 3))), torch.from_numpy(rng.integers(0, 3, 6))
    prior = torch.from_numpy(rng.dirichlet(np.ones(3)))
    found = balanced_softmax(logits, target, prior)
    for i in range(6):
        parts = [float(prior[k]) * np.exp(float(logits[i, k])) for k in range(3)]
        assert float(found[i]) == pytest.approx(-np.log(parts[int(target[i])] / sum(parts)))
    equal = balanced_softmax(logits, target, torch.full((3,), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(equal, F.cross_entropy(logits, target, reduction="none"))


def test_balanced_softmax_keeps_rare_classes_alive() -> None:
    """Nothing to tell and one class of nine in ten: every class is said to be as likely, not the frequent one."""
    pool = pool_of(2, people=60, each=5, seed=10, gap_z=0)
    rare = stream(11).random(len(pool)) < 0.1
    pool = replace(pool, label=np.where(rare, "biking", "walking"))
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    plan = replace(QUICK, steps=200)
    predict = fit(
        "linear_probe", MaskedAutoencoder(SHAPE), pool, asked, np.flatnonzero(~asked.tested), seed=0, plan=plan
    )
    assert predict(asked.rows)[:, 0].mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    "options", [{}, LSM1 | {"window_minutes": 100}, {"patch_minutes": 20, "patch_signals": 2}], ids=str
)
@torch.no_grad()
def test_the_grid_holds_each_embedding_at_its_place(options: dict[str, object]) -> None:
    network = MaskedAutoencoder(replace(SHAPE, **options), 1).eval()  # type: ignore[arg-type]
    days = wavy_days(3)
    windows = days.usable(100)[[3, 60, 100]]
    batch = days.batch(windows, 100, np.zeros((3, network.architecture.grid.places), np.bool_))
    grid = embedding_grid(network, batch)
    assert grid.shape == (3, 16, network.architecture.grid.rows, network.architecture.grid.columns)
    seen = network.places_of(batch.observed) if not network.architecture.filled else torch.ones(3, 60) > 0
    assert ((grid.flatten(2) != 0).any(1) == seen).all()
    mean = grid.flatten(2).sum(-1) / seen.sum(-1, keepdim=True)
    torch.testing.assert_close(mean, network.embed_windows(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", NEURAL)
def test_a_method_leaves_the_model_as_it_was_and_repeats(method: str) -> None:
    pool = pool_of(2, people=12, each=5, seed=12, gap_z=1.0)
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    network = MaskedAutoencoder(SHAPE, 1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.random.get_rng_state()
    learnt, plan = np.flatnonzero(~asked.tested), replace(QUICK, steps=4)
    one, two, other = (fit(method, network, pool, asked, learnt, seed=s, plan=plan)(asked.rows) for s in (1, 1, 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-6
    assert one.sum(axis=1) == pytest.approx(np.ones(len(one)))


@pytest.mark.parametrize("method", ["linear_probe", "convolutional_probe"])
def test_embeddings_that_do_not_fit_are_made_anew(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(3, people=30, each=8, seed=1, gap_z=1.0)
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    monkeypatch.setattr("model.evaluation.probes.KEPT_BYTES", 0)
    assert accuracy_of(method, pool, asked) > 0.8


def test_fine_tuning_moves_the_encoder_and_probes_do_not() -> None:
    """An encoder that is blind to values tells a frozen method nothing; a tuned one learns to see."""
    pool = pool_of(2, people=40, each=6, seed=13, gap_z=1.0)
    pool = replace(pool, observed=np.ones_like(pool.observed), slot=np.zeros_like(pool.slot))
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    blind = MaskedAutoencoder(SHAPE, 1)
    torch.nn.init.zeros_(blind.embed.weight)
    learnt, right = np.flatnonzero(~asked.tested), {}
    for method in ("linear_probe", "fine_tune"):
        guess = fit(method, blind, pool, asked, learnt, seed=0, plan=QUICK)(asked.rows[asked.tested]).argmax(axis=1)
        right[method] = (guess == asked.target[asked.tested]).mean()
    assert right["linear_probe"] < 0.7
    assert right["fine_tune"] > 0.9


@pytest.mark.parametrize("method", ["linear_probe", "convolutional_probe", *PLAIN])
def test_numbers_are_told(method: str) -> None:
    pool = pool_of(1, people=60, each=4, seed=14, gap_z=0.0)
    age = np.linspace(20, 80, 60)[pool.person]
    pool.values[:] += ((age - 50) / 15)[:, None, None].astype(np.float32) * pool.observed
    features = np.stack([window_features(v, o) for v, o in zip(pool.values, pool.observed, strict=True)])
    pool = replace(pool, kind=np.full(len(pool), "any"), features=features)
    asked = examples(pool, TASKS["age_years"], mix="found", seed=0)
    learnt, plan = np.flatnonzero(~asked.tested), replace(QUICK, steps=200)
    predict = fit(method, MaskedAutoencoder(SHAPE), pool, asked, learnt, seed=0, plan=plan)
    found = predict(asked.rows[asked.tested])
    assert np.corrcoef(found, asked.target[asked.tested])[0, 1] > 0.8
    assert np.abs(found - asked.target[asked.tested]).mean() < 10  # years; 15 for whoever always says the mean


NORMALISER = Normaliser((0.0,) * 26, (1.0,) * 26)


@pytest.fixture(scope="module")
def planted_pool(planted_dataset: Dataset) -> Pool:
    return gather(planted_dataset, NORMALISER, 300, kinds=EVERYBODY, windows_per_person=9, seed=1)


def test_windows_of_a_dataset_are_those_around_events_and_anywhere(planted_pool: Pool) -> None:
    """Nine days each: a walk and a mood on every one, a run on three, and one window anywhere."""
    counts = pd.Series(planted_pool.kind).value_counts().to_dict()
    assert counts == {"bout": PEOPLE * 12, "mood": PEOPLE * 9, "any": PEOPLE * 9}
    assert sorted(set(planted_pool.label)) == ["", "calm", "content", "running", "walking"]
    start = planted_pool.slot * 10
    walking = planted_pool.label == "walking"
    assert (start[walking] <= 780).all()
    assert (start[walking] + 300 >= 780 + 30).all()
    assert len(set(start[planted_pool.kind == "any"])) > 20
    row = int(np.flatnonzero(walking)[0])
    at = 780 - int(start[row])
    steps = planted_pool.values[row, 13]
    assert steps[at] > 0
    assert steps[at - 1] == 0
    walked = np.clip(steps, 0, 1).mean() * 100  # of the window's minutes at 100 steps, in the signal's unit
    assert planted_pool.features[row, 13] == pytest.approx(walked, rel=0.01)
    assert planted_pool.features[row, 3 * 26 + 13] == 100


def test_a_dataset_s_planted_answers_are_found(planted_dataset: Dataset) -> None:
    """Resting heart rate rises with age in it, and hypertension begins at 55."""
    network = MaskedAutoencoder(replace(SHAPE, window_minutes=300))
    assert np.corrcoef(RESTING, AGE)[0, 1] == pytest.approx(1)
    table = evaluate(
        network,
        Normaliser.fit(planted_dataset),
        planted_dataset,
        tasks=["exercise", "activity", "hypertension", "anxiety", "age_years", "mood"],
        methods=["random_forest"],
        windows_per_person=18,
        seed=1,
    )
    found = {(row.task, row.metric, row.group): row for row in table.rows}
    assert found["age_years", "correlation", "all"].value > 0.9
    assert found["hypertension", "auroc", "all"].value > 0.9
    assert found["exercise", "auroc", "all"].value > 0.7  # a mood's window may hold walk or run
    assert found["activity", "map", "all"].value > 0.9
    assert found["hypertension", "auroc", "all"].n == found["hypertension", "auroc", "all"].people == 5
    assert found["activity", "map", "all"].mix == "sampled"
    assert found["age_years", "mae", "all"].mix == "found"
    assert {row.group for row in table.rows if row.task == "mood"} >= {"sex: female", "sex: male", "age: 18-34"}
    assert table.left_out == ("anxiety: people.parquet has no column 'anxiety'",)
    text = table.text()
    assert "hypertension, random forest" in text
    assert "anxiety: people.parquet" in text
    for row in table.rows:
        if row.interval is not None and row.metric != "mae":
            assert -1 - 1e-9 <= row.interval[0] <= row.interval[1] <= 1 + 1e-9


def test_nothing_to_ask_is_an_error(planted_dataset: Dataset) -> None:
    network = MaskedAutoencoder(replace(SHAPE, window_minutes=300))
    with pytest.raises(DataError, match=r"anxiety: people\.parquet has no column 'anxiety'"):
        evaluate(network, NORMALISER, planted_dataset, tasks=["anxiety"], methods=["random_forest"], seed=1)


def test_groups_are_the_paper_s() -> None:
    people = pd.DataFrame(
        {"sex": ["female", "male"], "vendor": ["a", "a"], "age_years": [34.9, 65.0], "bmi_kg_m2": [25.0, np.nan]}
    )
    found = {name: members.tolist() for name, members in groups(people).items()}
    assert found == {
        "all": [True, True],
        "sex: female": [True, False],
        "sex: male": [False, True],
        "vendor: a": [True, True],
        "age: 18-34": [True, False],
        "age: 65+": [False, True],
        "bmi: 25-30": [True, False],
    }


def test_settings_are_those_of_tables_16_and_17() -> None:
    plan = paper_plan("exercise", "linear_probe")
    assert (plan.learning_rate, plan.dropout, plan.steps, plan.warmup_steps) == (0.5, 0.3, 400, 20)
    plan = paper_plan("mood", "fine_tune")
    assert (plan.learning_rate, plan.dropout, plan.steps, plan.batch_windows) == (0.005, 0.1, 300, 256)
    plan = paper_plan("activity", "supervised")
    assert (plan.learning_rate, plan.dropout, plan.batch_windows, plan.warmup_steps) == (0.0005, 0.0, 128, 15)
    for task in TASKS:
        for method in NEURAL:
            assert paper_plan(task, method).weight_decay == 1e-4


REFUSED: list[tuple[str, Callable[[Pool], object], str]] = [
    ("one person", lambda pool: replace(pool, person=np.zeros_like(pool.person)), "windows of 1 people"),
    ("one class", lambda pool: replace(pool, label=np.full(len(pool), "walking")), "expected 2 or more"),
]


@pytest.mark.parametrize(("what", "change", "why"), REFUSED, ids=[what for what, _, _ in REFUSED])
def test_what_cannot_be_asked_says_why(what: str, change: Callable[[Pool], Pool], why: str) -> None:
    with pytest.raises(NotEnoughError, match=why):
        examples(change(pool_of(2, 10, 3, 15, 0.0)), TASKS["activity"], mix="found", seed=0)


def test_a_method_needs_what_it_needs() -> None:
    pool = pool_of(2, 10, 3, 16, 0.0)
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    with pytest.raises(ValueError, match="linear_probe needs a pretrained network"):
        fit("linear_probe", None, pool, asked, np.arange(5), seed=0)
    with pytest.raises(ValueError, match="method='magic' is unknown"):
        fit("magic", None, pool, asked, np.arange(5), seed=0)
