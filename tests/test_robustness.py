"""The robustness kit counts hidden cells and no others, hides as it says, and shows no method what it is asked for."""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.impute import SimpleImputer

import everywear
from jobs.judging import strangers
from model.autoencoder import LSM1, Architecture, MaskedAutoencoder
from model.evaluation import robustness
from model.evaluation.baselines import Known, Values, mean
from model.evaluation.imputers import LEARNED, METHODS, Autoencoder, ByMinute, Learning, SimpleFill, mice
from model.evaluation.metrics import Errors, errors, rank_agreement
from model.evaluation.robustness import (
    AS_WORN,
    LEAST_LIVES,
    PATTERNS,
    SENSORS_ABSENT,
    Case,
    Masked,
    Piece,
    Robustness,
    Worn,
    assess,
    cases,
    find_gaps,
    mask,
    score,
)
from model.evaluation.robustness_data import first_days, halves, without
from model.windows import Batch, Normaliser
from simulator.cohort import Cohort
from simulator.dataset import open_dataset
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.recording import DataError, Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS, NAMES

Said = pytest.CaptureFixture[str]
SHAPE = Architecture(window_minutes=300, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)
MEAN = SimpleFill(mean)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    """Six people's two days, with truth."""
    return list(Cohort(population=POPULATIONS["lsm2"], people=6, days=2, seed=5))


@pytest.fixture(scope="module")
def worn(recordings: list[Recording]) -> Worn:
    return Worn.of(recordings, Normaliser.fit(recordings), least_lives=1)


class Knowing:
    """Says what it was told to say, whatever it is asked."""

    def __init__(self, answer: Values) -> None:
        self.answer = answer

    def impute(self, values: Values, observed: Known) -> Values:
        return self.answer


def masked(worn: Worn, scenario: str, pattern: str, severity: float | None = 1.0, seed: int = 3) -> Masked:
    return mask(worn, find_gaps(worn, scenario, severity, seed), pattern, seed)


def slow_mse(hidden: Masked, filled: Values) -> float:
    """Cell by cell: the mean over signals of the mean squared error of their hidden cells."""
    by_signal = []
    for i in range(N_SIGNALS):
        squares = [
            (float(filled[d, i, m]) - float(hidden.target[d, i, m])) ** 2
            for d, m in np.argwhere(hidden.hidden[:, i]).tolist()
        ]
        if squares:
            by_signal.append(sum(squares) / len(squares))
    return sum(by_signal) / len(by_signal)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_score_is_that_of_a_slow_loop_over_hidden_cells(worn: Worn, pattern: str) -> None:
    hidden = masked(worn, "off_wrist", pattern)
    found = score(MEAN, hidden, worn.unit)
    assert found.mse()[-1] == pytest.approx(slow_mse(hidden, mean(hidden.values, hidden.known)), rel=1e-5)
    assert found.cells.sum() == hidden.hidden.sum()


def test_what_a_method_says_of_other_cells_is_not_counted(worn: Worn) -> None:
    """A scorer that counted observed cells would call the first perfect and the second hopeless."""
    hidden = masked(worn, "natural", "gaps")
    right_elsewhere = np.where(hidden.hidden, hidden.target + 1, hidden.target).astype(np.float32)
    wrong_elsewhere = np.where(hidden.hidden, hidden.target, np.float32(99))
    assert score(Knowing(right_elsewhere), hidden, worn.unit).mse()[-1] == pytest.approx(1, rel=1e-5)
    assert score(Knowing(wrong_elsewhere), hidden, worn.unit).mse()[-1] == 0


@pytest.mark.parametrize("scenario", ["natural", AS_WORN])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_method_is_shown_what_it_is_asked_for(worn: Worn, scenario: str, pattern: str) -> None:
    hidden = masked(worn, scenario, pattern)
    assert hidden.hidden.any()
    assert not (hidden.known & hidden.hidden).any()
    assert (hidden.values[~hidden.known] == 0).all()


@pytest.mark.parametrize("scenario", ["natural", "restless", AS_WORN])
def test_random_twins_hide_as_many_cells_of_every_signal(worn: Worn, scenario: str) -> None:
    gaps, patches, cells = (masked(worn, scenario, pattern) for pattern in PATTERNS)
    for twin in (patches, cells):
        assert twin.hidden.sum(axis=(0, 2)).tolist() == gaps.hidden.sum(axis=(0, 2)).tolist()
        np.testing.assert_array_equal(twin.hidden | twin.known, gaps.hidden | gaps.known)
        assert (twin.hidden != gaps.hidden).any()
    heart = patches.hidden[:, INDEX["heart_rate"]].reshape(-1, 10)
    there = (patches.hidden | patches.known)[:, INDEX["heart_rate"]].reshape(-1, 10)
    broken = heart.any(axis=1) & (heart != there).any(axis=1)
    assert broken.sum() <= 1  # the last patch is cut where enough is hidden


@pytest.mark.parametrize("pattern", PATTERNS)
def test_nobody_is_asked_for_an_hour_that_no_clock_showed(recordings: list[Recording], pattern: str) -> None:
    hour = slice(120, 180)

    def put_forward(recording: Recording) -> Recording:
        observed, reason = recording.observed.copy(), recording.reason.copy()
        observed[:, hour], reason[:, hour] = False, Reason.CLOCK_CHANGED
        return replace(recording, observed=observed, reason=reason)

    spring = [put_forward(recording) for recording in recordings]
    hidden = masked(Worn.of(spring, Normaliser.fit(spring), least_lives=1), AS_WORN, pattern, None)
    assert hidden.hidden.any()
    assert not (hidden.hidden | hidden.known)[:, :, hour].any()


def test_the_data_s_own_gaps_are_scored_against_the_truth_and_absent_sensors_apart(worn: Worn) -> None:
    own, absent = masked(worn, AS_WORN, "gaps", None), masked(worn, SENSORS_ABSENT, "gaps", None)
    assert worn.truth is not None
    np.testing.assert_array_equal(own.hidden | absent.hidden, ~worn.days.observed)
    assert not (own.hidden & absent.hidden).any()
    assert (worn.reason[absent.hidden] == Reason.SENSOR_ABSENT).all()
    for hidden in (own, absent):
        np.testing.assert_array_equal(hidden.target[hidden.hidden], worn.truth[hidden.hidden])
        np.testing.assert_array_equal(hidden.known, worn.days.observed)
    assert score(Knowing(worn.truth), own, worn.unit).mse()[-1] == 0


def test_without_truth_artificial_gaps_are_scored_against_what_was_measured(recordings: list[Recording]) -> None:
    bare = Worn.of([replace(recording, truth=None) for recording in recordings], Normaliser.fit(recordings), 1)
    chosen = cases(bare, ["natural"], [1.0])
    assert {case.scenario for case in chosen} == {"natural"}
    hidden = masked(bare, "natural", "gaps")
    assert score(Knowing(bare.days.values), hidden, bare.unit).mse()[-1] == 0


def test_a_watch_takes_everything_together_and_random_cells_do_not(worn: Worn) -> None:
    gaps, cells = masked(worn, "off_wrist", "gaps"), masked(worn, "off_wrist", "cells")
    accelerometer = [INDEX["steps"], INDEX["log_energy"], INDEX["kurtosis"]]
    for hidden, together in ((gaps, True), (cells, False)):
        some, all_ = (f(hidden.hidden[:, accelerometer], axis=1).sum() for f in (np.any, np.all))
        assert (all_ / some > 0.9) == together


def counts_observed_cells(patch: pytest.MonkeyPatch) -> None:
    everything = np.ones((1, N_SIGNALS, MINUTES_PER_DAY), bool)
    patch.setattr(robustness, "errors", lambda truth, filled, _, person: errors(truth, filled, everything, person))


def shows_the_answer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(robustness, "Masked", lambda _, known, hidden, target: Masked(target, known, hidden, target))


def scatters_anywhere(patch: pytest.MonkeyPatch) -> None:
    def scatter(eligible: Known, wanted: NDArray[np.int64], patch: int, rng: np.random.Generator) -> Known:
        return np.asarray(eligible & (rng.random(eligible.shape) < wanted.sum() / eligible.sum()))

    patch.setattr(robustness, "_scatter", scatter)


@pytest.mark.parametrize(
    ("plant", "test"),
    [
        (counts_observed_cells, lambda worn: test_what_a_method_says_of_other_cells_is_not_counted(worn)),
        (counts_observed_cells, lambda worn: test_the_score_is_that_of_a_slow_loop_over_hidden_cells(worn, "cells")),
        (shows_the_answer, lambda worn: test_no_method_is_shown_what_it_is_asked_for(worn, AS_WORN, "cells")),
        (scatters_anywhere, lambda worn: test_random_twins_hide_as_many_cells_of_every_signal(worn, "natural")),
    ],
    ids=["counted", "counted, slowly", "shown", "scattered"],
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    test: Callable[[Worn], None],
    worn: Worn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test(worn)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        test(worn)


def test_a_method_that_keeps_silent_is_refused(worn: Worn) -> None:
    hidden = masked(worn, "natural", "gaps")
    nothing = np.where(hidden.hidden, np.nan, 0).astype(np.float32)
    with pytest.raises(DataError, match=r"Knowing\.impute left a cell that is not finite"):
        score(Knowing(nothing), hidden, worn.unit)
    with pytest.raises(DataError, match=r"Knowing\.impute gave .*, expected"):
        score(Knowing(nothing[:1]), hidden, worn.unit)


def test_few_people_live_several_lives(recordings: list[Recording]) -> None:
    one = [recording for recording in recordings if recording.person == recordings[0].person]
    worn = Worn.of(one, Normaliser.fit(recordings))
    assert len(set(worn.days.person)) == len(set(worn.unit)) == LEAST_LIVES
    gaps = find_gaps(worn, "off_wrist", 1.0, 1).hidden.reshape(LEAST_LIVES, -1)
    assert len({life.tobytes() for life in gaps}) > LEAST_LIVES / 2
    two = Worn.of([r for r in recordings if r.person <= recordings[2].person], Normaliser.fit(recordings))
    assert set(two.unit) < set(two.days.person) | {r.person for r in recordings}
    assert set(two.unit) <= {r.person for r in recordings}  # the bootstrap is over people, where there are some


# ------------------------------------------------------------------------------------------------------- imputers


def days(seed: int = 0, n: int = 3) -> tuple[Values, Known]:
    rng = stream(seed, "robustness days")
    values = rng.normal(size=(n, N_SIGNALS, MINUTES_PER_DAY)).astype(np.float32)
    observed = np.repeat(rng.random((n, N_SIGNALS, 144)) < 0.7, 10, axis=2) & (rng.random(values.shape) < 0.9)
    observed[:, INDEX["scl"]] = False
    return np.where(observed, values, np.float32(0)), observed


@pytest.mark.parametrize("name", [name for name in METHODS if name not in (*LEARNED, "knn")])
def test_every_method_fills_everything_and_looks_at_nothing_hidden(name: str) -> None:
    values, observed = days()
    imputer = METHODS[name](None, 1)
    filled = imputer.impute(values, observed)
    assert filled.shape == values.shape
    assert np.isfinite(filled[~observed]).all()
    other = imputer.impute(np.where(observed, values, np.float32(7)), observed)
    np.testing.assert_allclose(other[~observed], filled[~observed], rtol=1e-4, atol=1e-5)


def test_an_imputer_of_minutes_is_scikit_learn_s_own() -> None:
    values, observed = days()
    filled = ByMinute(SimpleImputer, most=10**9).impute(values, observed)
    table = np.where(observed, values, np.nan).transpose(0, 2, 1).reshape(-1, N_SIGNALS)
    seen = [i for i in range(N_SIGNALS) if i != INDEX["scl"]]
    expected = SimpleImputer().fit_transform(table[:, seen])
    found = filled.transpose(0, 2, 1).reshape(-1, N_SIGNALS)
    np.testing.assert_allclose(found[:, seen], expected, rtol=1e-4, atol=1e-5)
    assert (found[:, INDEX["scl"]] == 0).all()


def test_chained_equations_find_a_signal_that_follows_another() -> None:
    values, observed = days()
    i, j = INDEX["heart_rate"], INDEX["rr_mean"]
    values[:, j] = -0.8 * values[:, i]
    observed[:, i] = True
    gap = ~observed[:, j]
    filled = mice(1).impute(np.where(observed, values, np.float32(0)), observed)
    assert np.abs(filled[:, j] - values[:, j])[gap].mean() < 0.1


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("decoder", ["lean", "full"])
def test_our_model_says_of_whole_patches_what_it_reconstructs(rows: int, decoder: str) -> None:

    model = MaskedAutoencoder(replace(SHAPE, patch_signals=rows, decoder=decoder), 0)  # type: ignore[arg-type]
    model.eval()
    values, _ = days(n=2)
    observed = np.ones(values.shape, bool)
    grid = model.architecture.grid
    hidden = stream(1).random((2, grid.places)) < 0.3
    cells = np.repeat(np.repeat(hidden.reshape(2, grid.rows, grid.columns), rows, 1)[:, :N_SIGNALS], 10, 2)
    observed[:, :, :300] = ~cells
    filled = Autoencoder(model).impute(np.where(observed, values, np.float32(0)), observed)
    window = values[:, :, :300]
    batch = Batch(
        torch.from_numpy(window.copy()),
        torch.from_numpy(np.ones(window.shape, bool)),
        torch.zeros(2, dtype=torch.long),
        torch.from_numpy(hidden),
    )
    expected = model.reconstruct(batch).detach().numpy()
    np.testing.assert_allclose(filled[:, :, :300][cells], expected[cells], rtol=1e-3, atol=1e-4)


def test_our_model_fills_the_whole_day_and_keeps_what_was_observed() -> None:
    values, observed = days()
    imputer = Autoencoder(MaskedAutoencoder(SHAPE, 0))
    filled = imputer.impute(values, observed)
    np.testing.assert_array_equal(filled[observed], values[observed])
    other = imputer.impute(np.where(observed, values, np.float32(7)), observed)
    np.testing.assert_allclose(other, filled, atol=1e-5)
    assert (np.abs(filled[~observed]) > 0).mean() > 0.99  # each part of each day was predicted


def test_what_lsm1_is_given_and_asked_is_what_it_was_trained_on() -> None:
    """Patches without a cell are hidden, and inputs are filled from what is left: as ``reconstruct`` does."""
    model = MaskedAutoencoder(replace(SHAPE, **LSM1), 0)
    values, observed = days()
    filled = Autoencoder(model).impute(values, observed)[..., :300]
    window, there = torch.from_numpy(values[..., :300].copy()), torch.from_numpy(observed[..., :300].copy())
    hidden = ~model.places_of(there)
    batch = Batch(window, there, torch.zeros(len(values), dtype=torch.long), hidden)
    expected = model.reconstruct(batch).detach().numpy()
    cells = model.hidden_cells(hidden).numpy()
    assert 0 < cells.mean() < 1
    np.testing.assert_allclose(filled[cells], expected[cells], rtol=1e-4, atol=1e-5)


def test_a_model_answers_in_the_z_scores_it_is_given() -> None:
    """Told in others, the same days have the same answer, in them."""
    values, observed = days()
    model = MaskedAutoencoder(SHAPE, 0)
    own = Normaliser((0.5,) * 26, (2.0,) * 26, clip_z=1e3)
    given = Normaliser((-1.0,) * 26, (0.5,) * 26, clip_z=1e3)
    expected = Autoencoder(model).impute(values, observed)
    told = given.apply(own.invert(values), observed)
    answer = Autoencoder(model, own, given).impute(told, observed)
    np.testing.assert_array_equal(answer[observed], told[observed])
    np.testing.assert_allclose(answer, given.apply(own.invert(expected), np.ones_like(observed)), rtol=1e-4, atol=1e-3)


def test_a_missing_library_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setitem(sys.modules, "pypots", None)
    assert everywear.main(["robustness", "DATA", "--methods", "saits", "--out", "OUT"]) == 2
    assert "pip install 'everywear[imputers]'" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"PyPOTS is not installed .*everywear\[imputers\]"):
        METHODS["saits"](Learning(*days(), seed=1), 1)


@pytest.mark.parametrize("name", LEARNED)
def test_networks_of_pypots_fill_days_and_leave_global_generators_alone(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    if importlib.util.find_spec("pypots") is None:  # importing it writes a banner, which the kit keeps off
        pytest.skip("PyPOTS is not installed")
    monkeypatch.setattr("model.evaluation.imputers.EPOCHS", 1)
    monkeypatch.setattr("model.evaluation.imputers.FIT_WINDOWS", 8)
    values, observed = days(n=2)
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    filled = [METHODS[name](Learning(values, observed, seed=4), 4).impute(values, observed) for _ in range(2)]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]  # noqa: NPY002
    np.testing.assert_array_equal(filled[0], filled[1])
    assert np.isfinite(filled[0]).all()
    np.testing.assert_allclose(filled[0][observed], values[observed], atol=1e-5)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------------------- rankings, tables


def table_of(levels: list[float], people: int, seed: int) -> list[Errors]:
    rng = stream(seed, "levels")
    cells = np.full((people, N_SIGNALS), 10.0)
    return [Errors(cells * level, cells * level * (1 + 0.1 * rng.random(cells.shape)), cells) for level in levels]


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_scipy_s(seed: int) -> None:
    rng = stream(seed, "tau")
    one, other = (rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], 6) for _ in range(2))
    a, b = ([Errors(c, c, np.ones_like(c)) for c in _columns(levels)] for levels in (one, other))
    found, _ = rank_agreement(a, b, 0)
    assert found == pytest.approx(kendalltau(one, other).statistic, nan_ok=True)


def _columns(levels: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [np.full((3, N_SIGNALS), level) for level in levels]


def test_a_reversed_order_is_found_with_certainty_and_one_person_has_no_interval() -> None:
    up, down = table_of([1, 2, 3, 4], 20, 0), table_of([4, 3, 2, 1], 20, 1)
    assert rank_agreement(up, down, 0) == (-1.0, (-1.0, -1.0))
    assert rank_agreement(up, up, 0) == (1.0, (1.0, 1.0))
    assert rank_agreement(table_of([1, 2], 1, 0), table_of([1, 2], 1, 1), 0)[1] is None


def test_ratios_and_rankings_are_those_of_the_errors() -> None:
    case = Case(scenario="natural", severity=1.0, pattern="gaps")
    found = []
    for pattern, levels in (("gaps", [3.0, 2.0]), ("cells", [1.0, 2.0])):
        for name, errors_of in zip(("a", "b"), table_of(levels, 8, 0), strict=True):
            found.append(Piece(replace(case, pattern=pattern), name, "truth", 0.3, errors_of))
    table = Robustness(tuple(found), 0)
    rows = {(row.pattern, row.method): row for row in table.rows() if row.signal == "all"}
    ratio = rows["gaps", "a"].mse / rows["cells", "a"].mse
    assert rows["gaps", "a"].ratio == pytest.approx(ratio)
    low, high = rows["gaps", "a"].ratio_interval or (0, 0)
    assert low <= ratio <= high
    assert rows["cells", "b"].ratio == pytest.approx(1)
    (ranking,) = table.agreements()
    assert (ranking.tau, ranking.best, ranking.best_of_cells) == (-1, "b", "a")
    assert "tau -1.00" in table.summary()
    again = [Piece.from_json(json.loads(json.dumps(piece.as_json()))) for piece in found]
    for row, other in zip(table.rows(), Robustness(tuple(again), 0).rows(), strict=True):
        assert other.mse == pytest.approx(row.mse, rel=1e-6)
        assert (other.n, other.people) == (row.n, row.people)


def test_assess_scores_every_method_in_every_case(recordings: list[Recording]) -> None:
    methods = {"mean": MEAN, "linear": METHODS["linear"](None, 0)}
    found = assess(methods, recordings, Normaliser.fit(recordings), scenarios=["off_wrist"], severities=[0.5, 1.0])
    settings = {(row.scenario, row.severity) for row in found.rows()}
    assert settings == {("off_wrist", 0.5), ("off_wrist", 1.0), (AS_WORN, None), (SENSORS_ABSENT, None)}
    assert {row.method for row in found.rows()} == set(methods)
    assert {row.target for row in found.rows()} == {"truth"}
    again = assess(methods, recordings, Normaliser.fit(recordings), scenarios=["off_wrist"], severities=[0.5, 1.0])
    assert found.rows() == again.rows()
    with pytest.raises(ValueError, match="scenario='gremlins' is none of"):
        assess(methods, recordings, Normaliser.fit(recordings), scenarios=["gremlins"])
    with pytest.raises(ValueError, match=r"severity=2\.0 is not in"):
        assess(methods, recordings, Normaliser.fit(recordings), severities=[2.0])


def test_those_who_teach_are_not_those_who_are_judged(recordings: list[Recording]) -> None:
    learn, judged = halves(recordings, 1)
    assert not {r.person for r in learn} & {r.person for r in judged}
    assert len(learn) + len(judged) == len(recordings)
    few = [r for r in recordings if r.person == recordings[0].person]
    taught, asked = halves(few, 1)
    assert not {(r.person, r.day) for r in taught} & {(r.person, r.day) for r in asked}
    with pytest.raises(DataError, match="1 day, expected two"):
        halves(few[:1], 1)
    renamed = [replace(few[0], person="somebody else")]
    left = without(recordings, renamed)
    assert {r.person for r in left} == {r.person for r in recordings} - {few[0].person}


# ------------------------------------------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, recordings: list[Recording]) -> Path:
    """Somebody's own two days: pulse and steps, complete."""
    path = tmp_path_factory.mktemp("own") / "mine.csv"
    truth = np.concatenate([r.truth for r in recordings[:2] if r.truth is not None], axis=1)
    table = pd.DataFrame({"timestamp": pd.date_range("2024-05-06", periods=truth.shape[1], freq="min")})
    table["pulse"], table["steps"] = truth[INDEX["heart_rate"]], truth[INDEX["steps"]]
    table.to_csv(path, index=False)
    return path


def test_a_stranger_s_table_becomes_a_table_and_a_figure_and_goes_on(
    own: Path, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = ["robustness", str(own), "--signals", "pulse=heart_rate", "--scenarios", "off_wrist", "--out", str(out)]
    assert everywear.main([*command, "--methods", "mean", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert {row["method"] for row in first["rows"]} == {"mean"}
    count = len((out / "records.jsonl").read_text().splitlines())
    assert everywear.main([*command, "--methods", "mean,linear", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len((out / "records.jsonl").read_text().splitlines()) == 2 * count
    assert {row["method"] for row in said["rows"]} == {"mean", "linear"}
    assert {row["target"] for row in said["rows"]} == {"measured"}
    assert [row["pattern"] for row in said["rankings"]] == ["gaps", "patches"]
    table = pd.read_csv(out / "robustness.csv")
    assert set(table["signal"]) == {"heart_rate", "steps", "all"}
    assert (out / "robustness.png").read_bytes().startswith(b"\x89PNG")

    def refuse(*_: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(robustness, "score", refuse)
    assert everywear.main([*command, "--methods", "mean,linear"]) == 0
    assert "times the error in random cells" in capsys.readouterr().out
    assert everywear.main([*command, "--methods", "mean,linear", "--seed", "2"]) == 2
    assert "holds what was found on other data" in capsys.readouterr().err


def test_simulated_people_s_own_gaps_a_model_and_classifiers_are_scored(tmp_path: Path, capsys: Said) -> None:
    people, model, out = tmp_path / "people", tmp_path / "model", tmp_path / "out"
    for command in (
        f"simulate --people 12 --days 2 --population lsm2 --seed 4 --out {people}",
        f"train {people} --out {model} --steps 2 --batch-windows 4",
        f"train {people} --out {tmp_path / 'lsm1'} --size lsm1-tiny --steps 2 --batch-windows 4",
    ):
        assert everywear.main(command.split()) == 0
    trained_on = set(json.loads((model / "model.json").read_text())["made_by"]["people"])
    more = tmp_path / "more"
    assert everywear.main(f"simulate --people 30 --days 2 --population lsm2 --seed 4 --out {more}".split()) == 0
    capsys.readouterr()
    command = f"robustness {more} --model {model} {tmp_path / 'lsm1'} --methods mean --scenarios off_wrist"
    command += f" --classify sex --out {out}"
    assert everywear.main([*command.split(), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["people"] <= 30 - len(trained_on)
    assert {row["method"] for row in said["rows"]} == {"mean", "model", "lsm1"}
    assert {AS_WORN, "off_wrist"} <= {row["scenario"] for row in said["rows"]}
    assert {"nothing", "ACC", "night"} <= {row["removed"] for row in said["removed"]}
    assert {row["task"] for row in said["removed"]} == {"sex"}
    assert (out / "ablation.png").read_bytes().startswith(b"\x89PNG")
    spoilt = tmp_path / "spoilt"
    assert everywear.main(f"inject {more} --scenario off_wrist --rate 0.2 --out {spoilt}".split()) == 0
    new = strangers(open_dataset(more), model).people["person"].tolist()
    assert strangers(open_dataset(spoilt), model).people["person"].tolist() == new
    assert len(new) == 30 - len(trained_on)
    capsys.readouterr()
    taught = f"robustness {spoilt} --learn {more} --methods mean --scenarios off_wrist --out {tmp_path / 'taught'}"
    assert everywear.main(taught.split()) == 2
    assert f"{more} holds everybody in {spoilt}" in capsys.readouterr().err


REFUSED = {
    "MISSING --out OUT": "MISSING: no such file or folder",
    "OWN --out OUT --methods guess": "method 'guess' is unknown",
    "OWN --out OUT --scenarios gremlins": "scenario 'gremlins' is unknown",
    "OWN --out OUT --severities some": "severities 'some': expected numbers",
    "OWN --out OUT --severities 2": "severity=2.0 is not in (0, 1]",
    "OWN --out OUT --days-per-person 0": "days_per_person 0 is below 1",
    "OWN --out OUT --signals puls=heart_rate": "no column 'puls'",
    "OWN --out OUT --classify sex": "--classify needs a dataset folder",
    "OWN --out OUT --model MISSING": "MISSING: no such folder, expected a model folder",
    "OWN --out OWN": "is a file, expected a folder",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_and_nothing_is_written(line: str, own: Path, tmp_path: Path, capsys: Said) -> None:
    out = tmp_path / "out"
    words = [
        word.replace("OWN", str(own)).replace("OUT", str(out)).replace("MISSING", str(tmp_path / "missing"))
        for word in line.split()
    ]
    assert everywear.main(["robustness", *words]) == 2
    said = [part for part in capsys.readouterr().err.splitlines() if part.startswith("everywear: ")]
    assert len(said) == 1
    assert REFUSED[line].replace("MISSING", str(tmp_path / "missing")) in said[0]
    assert not out.exists()


def test_days_are_the_first_ones_of_everybody(own: Path) -> None:
    days_of = first_days(own, 1, {"pulse": "heart_rate"})
    assert [(recording.person, recording.day) for recording in days_of] == [("mine", 0)]
    assert days_of[0].observed[NAMES.index("heart_rate")].all()
