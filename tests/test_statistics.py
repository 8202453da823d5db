"""A vendor's statistics: one charge, one answer, whatever happens in between; and a fit that sees nothing else."""

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import everywear
from federated import statistics
from federated.statistics import DESIGN, read_statistics, released
from privacy.ledger import BudgetExceeded, Ledger
from privacy.plan import PrivacyError
from privacy.tables import noise_multiplier
from simulator import fitting
from simulator.cohort import Cohort
from simulator.dataset import open_dataset
from simulator.fitting import Effort, Surrogate, Targets, cells, read_off
from simulator.generating import simulate
from simulator.population import POPULATIONS, Population
from simulator.recording import DataError
from simulator.summaries import BINS, DEVICES, N_SUMMARIES, PLACE, Codes, Period, of_cohort, of_dataset
from simulator.tilting import terms

PERIOD = Period(start=date(2024, 2, 29), days=2)
RHO = 0.1


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "site" / "ledger.jsonl", vendor="acme", delta=1e-5, epsilon_budget=5.0)


def rows(people: int, seed: int = 1) -> Codes:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, bins, people) for bins in BINS], axis=1).astype(np.uint8)


def ask(codes: Codes, ledger: Ledger, rho: float = RHO, period: Period = PERIOD) -> bytes:
    return released(codes, period, rho=rho, noise=noise_multiplier(rho), ledger=ledger)


def test_asked_again_it_sends_the_same_bytes_for_nothing(ledger: Ledger) -> None:
    codes = rows(50)
    first = ask(codes, ledger)
    assert ask(codes[::-1], ledger) == first  # the same people in another order
    assert len(ledger.entries) == 1
    others = [ask(codes[1:], ledger), ask(codes, ledger, rho=0.01), ask(codes, ledger, period=replace(PERIOD, days=3))]
    assert len({first, *others}) == 4
    assert len(ledger.entries) == 4


def test_what_is_said_is_what_was_charged(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    path.write_bytes(ask(rows(50), ledger))
    said = read_statistics(path).guarantee
    (entry,) = ledger.entries
    assert entry.release.event is not None
    assert said.epsilon["pld"] == said.vendor_epsilon == entry.epsilon
    assert said.epsilon["prv"] == pytest.approx(said.epsilon["pld"], rel=0.01)
    assert 1 / (2 * entry.release.noise_multiplier**2) == pytest.approx(RHO)
    assert said.deviation == pytest.approx(8 / np.sqrt(2 * RHO))  # 64 tables
    assert said.ledger_entry == json.loads(ledger.path.read_text().splitlines()[-1])["digest"]


def test_the_budget_refuses_before_anything_is_drawn(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(rows(50), ledger)
    monkeypatch.setattr(statistics, "noised", lambda *_: pytest.fail("drew noise that nobody paid for"))
    with pytest.raises(BudgetExceeded, match="above the budget of 5"):
        ask(rows(50), ledger, rho=0.6)
    assert len(ledger.entries) == 1


@pytest.mark.parametrize("where", ["noised", "write_whole"])
def test_an_end_between_charge_and_answer_never_gives_two_answers_for_one_price(
    where: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(statistics, where, end)
        with pytest.raises(KeyboardInterrupt):
            ask(rows(50), ledger)
    assert len(ledger.entries) == 1  # charged before anything was drawn
    answer = ask(rows(50), ledger)
    assert len(ledger.entries) == 2  # what became of the first cannot be told
    assert ask(rows(50), ledger) == answer
    assert len(ledger.entries) == 2


def test_a_lost_answer_is_not_drawn_again_for_nothing(ledger: Ledger) -> None:
    first = ask(rows(50), ledger)
    shutil.rmtree(ledger.path.with_name("ledger.jsonl.answers"))
    assert ask(rows(50), ledger) != first
    assert len(ledger.entries) == 2


def test_shapes_and_keys_are_those_of_nobody(ledger: Ledger, tmp_path: Path) -> None:
    shown = []
    for i, codes in enumerate([np.zeros((0, N_SUMMARIES), np.uint8), rows(1)]):
        path = tmp_path / f"{i}.json"
        path.write_bytes(ask(codes, ledger, rho=0.001))
        told = json.loads(path.read_text())
        told["guarantee"] = {**told["guarantee"], "vendor_epsilon": 0, "ledger_entry": ""}
        told["counts"] = len(told["counts"])
        shown.append(told)
    assert shown[0] == shown[1]


def test_foreign_statistics_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "statistics.json"
    with pytest.raises(DataError, match="no such file"):
        read_statistics(path)
    told = json.loads(ask(rows(5), ledger))
    changes: tuple[dict[str, object], ...] = ({"format": "other"}, {"counts": told["counts"][1:]}, {"labels": {}})
    for change in changes:
        path.write_text(json.dumps(told | change))
        with pytest.raises(DataError, match=r"format|other tables"):
            read_statistics(path)
    for name, lie in {"rho": 1e-3, "deviation": 1.0, "epsilon": {"pld": 0.01, "prv": 0.01}, "sensitivity": 1.0}.items():
        path.write_text(json.dumps(told | {"guarantee": told["guarantee"] | {name: lie}}))
        with pytest.raises(DataError, match=r"but rho .* gives"):
            read_statistics(path)
    path.write_text(json.dumps(told | {"counts": [10**30, *told["counts"][1:]]}))
    with pytest.raises(DataError, match="expected at most"):
        read_statistics(path)


def test_a_lost_key_is_no_new_life(ledger: Ledger) -> None:
    ask(rows(5), ledger)
    ledger.path.with_name("noise.key").unlink()
    with pytest.raises(PrivacyError, match="is gone, but the ledger has releases"):
        ask(rows(5), ledger)
    assert len(ledger.entries) == 1


QUICK = Effort(pool=40, cohort=6, corrections=1)


def test_from_the_dataset_to_a_shareable_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way by its commands; the fit gives the same bytes from the statistics alone, with the data gone."""
    data, out, shared = tmp_path / "data", tmp_path / "statistics.json", tmp_path / "shared"
    cohort = Cohort(population=POPULATIONS["vendors"], people=5, days=2, seed=4, start=PERIOD.start)
    simulate(cohort, data, truth=False)
    command = ["statistics", str(data), "--ledger", str(tmp_path / "site" / "ledger.jsonl"), "--out", str(out)]
    command += ["--start", str(PERIOD.start), "--days", "2", "--json"]
    assert everywear.main(command) == 2
    assert "--vendor and --epsilon-budget begin one" in capsys.readouterr().err
    assert everywear.main([*command, "--vendor", "acme", "--epsilon-budget", "2"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["epsilon"]["pld"] <= 2
    first = out.read_bytes()
    out.unlink()
    assert everywear.main(command) == 0  # lost on its way
    assert out.read_bytes() == first
    capsys.readouterr()
    book = (tmp_path / "site" / "ledger.jsonl").read_bytes()
    for bad in (
        tmp_path / "site" / "ledger.jsonl",
        tmp_path / "site" / "noise.key",
        data / "x.json",
        data,
        out / "below",
    ):
        assert everywear.main([*command[:-7], "--out", str(bad), *command[-5:]]) == 2, bad
    assert (tmp_path / "site" / "ledger.jsonl").read_bytes() == book, "nothing was charged or overwritten"
    assert everywear.main([*command, "--delta", "1e-4"]) == 2
    capsys.readouterr()
    assert everywear.main([*command, "--rho", "1"]) == 2
    assert "above the budget" in capsys.readouterr().err
    fit = ["fit", str(out), "--pool", "40", "--cohort", "6", "--corrections", "0", "--json", "--out"]
    assert everywear.main([*fit, str(tmp_path / "a.json")]) == 0
    shutil.rmtree(data)
    shutil.rmtree(tmp_path / "site")
    assert everywear.main([*fit, str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    again = ["simulate", "--people", "2", "--days", "1", "--population", str(tmp_path / "b.json")]
    assert everywear.main([*again, "--out", str(shared)]) == 0
    card = (shared / "README.md").read_text()
    for fact in ("a person", "add or remove one person", "0.1-zCDP", "(pld)", "(prv)", "delta 1e-05", "Ledger entry"):
        assert fact in card
    assert open_dataset(shared).manifest.made_by["population"]["source"] in card


def test_a_dataset_s_summaries_are_its_cohort_s(tmp_path: Path) -> None:
    cohort = Cohort(population=POPULATIONS["vendors"], people=4, days=3, seed=4, start=PERIOD.start)
    simulate(cohort, tmp_path / "data", truth=False)
    assert (of_dataset(open_dataset(tmp_path / "data"), PERIOD) == of_cohort(cohort, PERIOD)).all()


def targets(codes: Codes, noise: float = 0.001) -> Targets:
    counts = DESIGN.split(DESIGN.count(codes))
    return Targets(shares={table: each / len(codes) for table, each in counts.items()}, noise=noise, period=PERIOD)


def test_sex_age_and_devices_are_read_off_their_tables() -> None:
    codes = rows(2000)
    codes[:, PLACE["device"]] = np.where(np.arange(2000) % 4 == 0, DEVICES.index("oura-ring-3"), 0)
    codes[:, PLACE["sex"]] = np.arange(2000) % 10 >= 7
    found = read_off(targets(codes, noise=0.01), "ours")
    assert found.vendor_shares == pytest.approx({"fitbit-sense-2": 0.75, "oura-ring-3": 0.25})
    assert found.sex_shares["male"] == pytest.approx(0.3)
    codes[:, PLACE["sex"]] = BINS[PLACE["sex"]] - 1  # nobody told
    assert read_off(targets(codes), "ours").sex_shares == Population(name="").sex_shares


def test_shifts_that_a_surrogate_knows_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that follow the shifts as the surrogate says; cells beyond the tables' bins do not exist."""
    tables = DESIGN.tables
    base = read_off(targets(rows(500)), "ours")
    around = fitting._around(base, 1)
    width = len(fitting._features(around[0][:1], around[1][:1], np.zeros(len(fitting.SHIFTS)))[0])
    weights = np.random.default_rng(3).normal(0, 0.01, (width, DESIGN.cells))
    surrogate = Surrogate(weights=weights, tables=tables)
    true = np.linspace(-0.6, 0.6, len(fitting.SHIFTS))
    aim = fitting._predicted(surrogate, around, true)
    found = fitting._solve(surrogate, around, aim, 1e-4, np.zeros(len(true)))
    assert found == pytest.approx(true, abs=1e-3)
    population = fitting.shifted(base, true)
    assert population.activity_factor == pytest.approx(np.exp(0.7 * true[1]))


def test_a_tilt_finds_the_people_that_tables_ask_for() -> None:
    """Weights by age alone make the tables; the tilt found makes tables that are nearer than untilted ones."""
    population = POPULATIONS["lsm1"]
    people = [population.person(1, i) for i in range(600)]
    age, walking = (np.array([getattr(one, name) for one in people]) for name in ("age_years", "activity_level"))
    codes = rows(600)
    codes[:, PLACE["age"]] = np.searchsorted((30, 40, 50, 60, 70), age)
    codes[:, PLACE["steps_per_day"]] = np.searchsorted(np.quantile(walking, [0.2, 0.4, 0.6, 0.8]), walking)
    seen = cells(codes, DESIGN.tables)
    odds = np.exp(0.8 * (age - 47) / 15)
    aim = (odds / odds.sum()) @ seen
    tilt = fitting._tilt(people, seen, aim, 0.002)
    assert set(tilt) == set(fitting.TILTED)
    weights = fitting._softmax(terms(fitting.TILTED, people) @ np.array(list(tilt.values())))
    missed = np.abs(weights @ seen - aim).sum()
    assert missed < 0.5 * np.abs(seen.mean(axis=0) - aim).sum()
    tilted = replace(population, tilt={"age": 0.8})
    older = [tilted.person(1, i).age_years for i in range(300)]
    asked = float((odds / odds.sum()) @ age) - age.mean()
    assert 0.6 * asked < np.mean(older) - age.mean() < 1.1 * asked  # one of 16 falls short of a steep tilt
    assert tilted.person(1, 5) == tilted.person(1, 5)
