"""The federation: what leaves a maker, what a round makes of it, and how kills change nothing."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from federated.client_app import app as client_app
from federated.experiment import Experiment
from federated.flower import end_processes, marked, through_flower
from federated.grid import InProcessGrid, drive
from federated.maker import PeopleWindows, Site, people_of, settle, train_round
from federated.parameters import pack, touchable_vector, unpack
from federated.run import HeldOut, Outcome, Watch, outcome, run
from federated.server_app import last_round
from federated.strategy import FederationError, MakerAverage, RefusedError, average, record, vector
from federated.study.records import read
from model.autoencoder import MaskedAutoencoder
from model.training import load_model
from model.windows import Days, Normaliser
from privacy.ledger import BudgetExceeded, Ledger
from simulator.dataset import open_dataset
from simulator.randomness import stream
from simulator.recording import DataError
from tests.conftest import TINY, ignore
from tests.strategies import seeds


class KilledError(BaseException):
    """Stands for kill -9: passes every ``except Exception``; whatever was not on disk is gone."""


@pytest.fixture
def ready(whole: Path, tmp_path: Path) -> Path:
    """A run that stands before its first round."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("server", "model", "ledger*"))
    shutil.copytree(whole / "public" / "model", folder / "public" / "model")
    lines = (whole / "records.jsonl").read_text().splitlines(keepends=True)
    (folder / "records.jsonl").write_text("".join(line for line in lines if '"kind": "round"' not in line))
    return folder


def site_of(folder: Path, number: int = 0, experiment: Experiment = TINY) -> Site:
    return Site(folder / "vendors" / experiment.makers[number].name, experiment, number)


def warm(folder: Path) -> tuple[MaskedAutoencoder, Normaliser]:
    return load_model(folder / "public" / "model")


# --- the whole way


def test_a_finished_run_says_what_it_spent(whole: Path) -> None:
    said: Outcome = outcome(whole)
    assert set(said.epsilon) == {maker.name for maker in TINY.makers}
    assert said.federation == max(said.epsilon.values())
    privacy = next(r.content for r in read(whole / "records.jsonl") if r.kind == "privacy")
    for maker in TINY.makers:
        plan = TINY.plan(maker)
        assert said.epsilon[maker.name] == pytest.approx(plan.epsilon(), rel=1e-6)
        assert privacy["second_accountant"][maker.name] == pytest.approx(said.epsilon[maker.name], rel=0.03)
    assert {row["method"] for row in said.rows} >= {"federated", "public only", "linear", "diurnal"}


def comparable(folder: Path) -> object:
    """Everything that a run decides: model, ledgers' releases, figures. Times are left out."""
    releases = {
        maker.name: [entry.release for entry in Ledger.read(folder / "vendors" / maker.name / "ledger.jsonl").entries]
        for maker in TINY.makers
    }
    figures = [(r.kind, r.key, dict(r.content)) for r in read(folder / "records.jsonl")]
    return (folder / "model" / "model.safetensors").read_bytes(), releases, figures


def killer(stage: str, done: int) -> Watch:
    """Kills the run as soon as it is so far."""

    def watch(now: str, at: int) -> None:
        if now == stage and at >= done:
            raise KilledError

    return lambda stage, done, total, note="": watch(stage, done)


def test_a_run_killed_at_many_places_ends_the_same(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    places = [("public people (train)", 3), ("warm start", 4), ("makers' people", 1), ("rounds", 3), ("rounds", 7)]
    places += [("held-out people", 5), ("evaluation", 6)]
    for stage, done in places:
        with pytest.raises(KilledError):
            run(TINY, folder, workers=1, watch=killer(stage, done))
    run(TINY, folder, workers=1, watch=ignore)
    assert comparable(folder) == comparable(whole)
    before = comparable(folder)
    run(TINY, folder, workers=1, watch=ignore)  # once more changes nothing
    assert comparable(folder) == before


def test_a_folder_of_another_experiment_or_of_anything_else_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds experiment 'tiny'"):
        run(replace(TINY, seed=99), whole, watch=ignore)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty and not a run folder"):
        run(TINY, tmp_path, watch=ignore)


def test_flower_s_engine_gives_the_same_model_and_leaves_no_process(whole: Path, ready: Path) -> None:
    through_flower(ready, len(TINY.makers))
    assert marked((ready / "flower").resolve()) == []
    model = warm(ready)[0]
    (rounds, theta), (_, expected) = (last_round(folder, TINY, model) for folder in (ready, whole))
    assert rounds == TINY.rounds.rounds
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-6)
    spent = [Ledger.read(folder / "vendors" / "aurora" / "ledger.jsonl").epsilon() for folder in (ready, whole)]
    assert spent[0] == spent[1]


def test_ending_nothing_is_fine(tmp_path: Path) -> None:
    end_processes(tmp_path)


# --- what leaves a maker


def test_a_retry_is_the_same_message_and_costs_nothing(ready: Path) -> None:
    """R19: a lost reply is sent again, bit by bit; another model is another release."""
    model, normaliser = warm(ready)
    site, theta = site_of(ready), pack(model)
    first = train_round(site, theta, normaliser, 0)
    again = train_round(site, theta, normaliser, 0)
    assert (first == again).all()
    assert len(site.ledger().entries) == 1
    other = train_round(site, theta * np.float32(1.001), normaliser, 0)
    assert len(site.ledger().entries) == 2
    assert not (other == first).all()


def test_the_ledger_is_charged_before_anything_is_computed(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr("federated.maker.run_steps", fail)
    model, normaliser = warm(ready)
    with pytest.raises(KilledError):
        train_round(site_of(ready), pack(model), normaliser, 0)
    assert len(site_of(ready).ledger().entries) == 1


def test_a_spent_budget_refuses_the_round_and_writes_nothing(ready: Path) -> None:
    model, normaliser = warm(ready)
    site = site_of(ready)
    theta = pack(model)
    fitting = TINY.rounds.rounds  # as many different rounds as were planned
    for i in range(fitting):
        train_round(site, theta * np.float32(1 + 0.01 * i), normaliser, 0)
    with pytest.raises(BudgetExceeded, match="above the budget"):
        train_round(site, theta * np.float32(2), normaliser, 0)
    assert len(site.ledger().entries) == fitting
    assert site.ledger().epsilon() <= TINY.protection.epsilon


def test_release_noise_is_secret_and_rehearsal_noise_is_the_seed_s(ready: Path) -> None:
    """R6: keys of release mode come from the operating system and stay at the site."""
    release = replace(TINY, protection=replace(TINY.protection, noise="release"))
    one, two = site_of(ready, 0, release), site_of(ready, 1, release)
    assert one.key() != two.key()
    assert one.key() == one.key()
    assert (one.folder / "noise.key").stat().st_mode & 0o077 == 0
    assert site_of(ready, 0).key() == site_of(ready, 0).key() != site_of(ready, 1).key()
    assert site_of(ready, 0).key() != site_of(ready, 0, replace(TINY, seed=2)).key()


def test_entries_of_absent_sensors_stay_as_they_came(ready: Path) -> None:
    model, normaliser = warm(ready)
    theta = pack(model)
    number = next(i for i, maker in enumerate(TINY.makers) if "scl" not in maker.vendor.signals)
    changed = train_round(site_of(ready, number), theta, normaliser, 0) != theta
    may = touchable_vector(model, TINY.makers[number].vendor.signals)
    assert not may.all()
    assert not changed[~may].any()
    assert changed[may].mean() > 0.99  # noise moves all others


def test_a_reply_holds_the_model_and_the_maker_s_number_only(ready: Path) -> None:
    """R10: no loss, no count, no norm leaves a maker."""
    replies = []

    class Spy(InProcessGrid):
        def send_and_receive(self, messages: object, *, timeout: float | None = None) -> object:  # type: ignore[override]
            found = list(super().send_and_receive(messages, timeout=timeout))  # type: ignore[arg-type]
            replies.extend(found)
            return found

    from federated.server_app import app as server_app

    config = {"run": str(ready)}
    drive(server_app, Spy(client_app, len(TINY.makers), config), config)
    assert len(replies) == TINY.rounds.rounds * len(TINY.makers)
    for reply in replies:
        assert set(reply.content) == {"arrays", "metrics"}
        assert set(reply.content["metrics"]) == {"maker"}
        assert set(reply.content["arrays"]) == {"theta"}


def test_normalisation_and_plan_know_nothing_of_private_people(whole: Path) -> None:
    """R2, R9: other private people, same public constants."""
    normaliser = warm(whole)[1]
    assert normaliser == Normaliser.fit(open_dataset(whole / "public" / "train"))
    fewer = replace(TINY, makers=tuple(replace(m, days=m.days + 1) for m in TINY.makers))
    assert [fewer.plan(m) for m in fewer.makers] == [TINY.plan(m) for m in TINY.makers]


def test_people_are_disjoint_and_nobody_held_out_was_trained_on(whole: Path) -> None:
    """R18, and the basis of every score."""
    trained = [set(open_dataset(whole / "vendors" / m.name / "data").people["person"]) for m in TINY.makers]
    held_out = set(HeldOut(TINY).people_table()["person"])
    assert len(set().union(*trained)) == sum(map(len, trained))
    assert not held_out & set().union(*trained)
    seeds_of = [people_of(TINY, maker).seed for maker in TINY.makers]
    assert len({*seeds_of, TINY.seed}) == len(seeds_of) + 1


def test_one_person_more_changes_the_update_by_no_more_than_the_clip(ready: Path) -> None:
    """R1, gray box: same coins and noise, one person gone; the updates differ by at most C / divisor a step."""
    model, normaliser = warm(ready)
    experiment = replace(TINY, rounds=replace(TINY.rounds, rounds=1, steps=1, learning_rate=1.0))
    site = site_of(ready, 0, experiment)
    plan, theta = site.experiment.plan(site.maker), pack(model)
    days = Days.load(site.dataset(), normaliser)
    everybody = PeopleWindows(days, experiment, plan.windows_per_person)

    def update(people: list[str]) -> NDArray[np.float32]:
        from model.training import run_steps
        from privacy.mechanism import make_private
        from privacy.noise import KeyedStream

        fresh = MaskedAutoencoder(experiment.architecture)
        unpack(fresh, theta)
        module, optimiser, loader = make_private(
            fresh,
            torch.optim.SGD(fresh.parameters(), lr=1.0),
            replace(plan, sampling_rate=1.0, nominal_people=maker_people),
            people=people,
            draw=everybody.draw,
            collate=PeopleWindows.collate,
            streams=KeyedStream(bytes(32), "test"),
            steps=range(1),
            micro_batch=5,
            learning_rate=lambda step: 1.0,
        )
        run_steps(module, optimiser, loader)
        return pack(fresh)

    maker_people = experiment.makers[0].people
    everyone, one_less = update(everybody.people), update(everybody.people[1:])
    assert 0 < np.linalg.norm(everyone - one_less) <= plan.clip_norm / maker_people * (1 + 1e-3)


# --- what a round makes of it


def test_without_noise_one_maker_equals_central_training(ready: Path) -> None:
    """The federation adds nothing of its own: one client, no noise, no clip is a plain loop over the same batches."""
    alone = replace(TINY, makers=TINY.makers[:1], protection=replace(TINY.protection, noise="off"))
    site, (model, normaliser) = site_of(ready, 0, alone), warm(ready)
    private = train_round(site, pack(model), normaliser, 0)

    central, plan = MaskedAutoencoder(alone.architecture), site.experiment.plan(site.maker)
    unpack(central, pack(model))
    people = PeopleWindows(Days.load(site.dataset(), normaliser), alone, plan.windows_per_person)
    draws = _draws_of(site, pack(model), people)
    for step, batch in enumerate(draws):
        rate = alone.rounds.learning_rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        central.zero_grad()
        (central(batch).mean(dim=1).sum() / plan.divisor).backward()
        with torch.no_grad():
            for p in central.parameters():
                assert p.grad is not None
                p.sub_(rate * p.grad)
    assert len(draws) == alone.rounds.steps
    np.testing.assert_allclose(private, pack(central), rtol=1e-4, atol=1e-5)


def _draws_of(site: Site, theta: np.ndarray, people: PeopleWindows) -> list:  # type: ignore[type-arg]
    """The batches that a maker's round trains on, gathered on the way."""
    import federated.maker as maker_module

    seen = []
    original = PeopleWindows.collate

    def gather(items: list) -> object:  # type: ignore[type-arg]
        batch = original(items)
        seen.append(batch)
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker_module.PeopleWindows, "collate", staticmethod(gather))
        train_round(site, theta, warm(site.folder.parent.parent)[1], 0)
    return seen


@settings(max_examples=20, deadline=None)
@given(seed=seeds, order=st.permutations(range(4)))
def test_the_average_is_a_loop_s_in_any_order(seed: int, order: list[int]) -> None:
    rng = stream(seed)
    theta = rng.normal(size=7).astype(np.float32)
    models = {i: rng.normal(size=7).astype(np.float32) for i in range(4)}
    weights = {i: float(rng.uniform(0.5, 2)) for i in range(4)}
    may = {i: rng.random(7) < 0.6 for i in range(4)}
    found = average(theta, {i: models[i] for i in order}, weights, may)
    for entry in range(7):
        who = [i for i in range(4) if may[i][entry]]
        expected = (
            np.average([models[i][entry] for i in who], weights=[weights[i] for i in who]) if who else theta[entry]
        )
        assert found[entry] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert (found == average(theta, models, weights, may)).all()


def replies_of(thetas: list[object], experiment: Experiment = TINY) -> tuple[MakerAverage, Iterator[Message]]:
    """A strategy at its first round and replies that answer it: a vector, or a text for an error."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        answer = thetas[number]
        if isinstance(answer, Exception):
            raise answer
        content = RecordDict({"arrays": record(answer), "metrics": MetricRecord({"maker": number})})  # type: ignore[arg-type]
        return Message(content, reply_to=message)

    n = len(thetas)
    ones = {i: np.ones(3, bool) for i in range(n)}
    strategy = MakerAverage(
        FedAvg(min_train_nodes=n, min_available_nodes=n), dict.fromkeys(range(n), 1.0), ones, 1, first_round=4
    )
    found: list[Message] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        messages = strategy.configure_train(1, record(np.zeros(3, np.float32)), ConfigRecord({}), grid)
        found.extend(grid.send_and_receive(messages))

    drive(server, InProcessGrid(app, n, {}), {})
    return strategy, iter(found)


def test_a_failed_maker_is_left_out_and_a_round_without_any_is_an_error() -> None:
    one = np.ones(3, np.float32)
    strategy, replies = replies_of([one, RuntimeError("boom"), 3 * one])
    arrays, _ = strategy.aggregate_train(1, replies)
    assert isinstance(arrays, ArrayRecord)
    assert vector(arrays).tolist() == [2, 2, 2]
    strategy, replies = replies_of([RuntimeError("boom"), RuntimeError("bang")])
    with pytest.raises(FederationError, match=r"round 4: 0 of at least 1 .*boom.*bang") as caught:
        strategy.aggregate_train(1, replies)
    assert not isinstance(caught.value, RefusedError)
    strategy, replies = replies_of([DataError("no such folder")])
    with pytest.raises(RefusedError, match="no such folder"):
        strategy.aggregate_train(1, replies)


def test_a_model_that_is_not_finite_or_does_not_fit_is_left_out() -> None:
    good, bad = np.ones(3, np.float32), np.array([1, np.nan, 1], np.float32)
    strategy, replies = replies_of([good, bad, np.ones(4, np.float32)])
    arrays, _ = strategy.aggregate_train(1, replies)
    assert arrays is not None
    assert vector(arrays).tolist() == [1, 1, 1]


def test_a_model_vector_goes_and_comes_back() -> None:
    model, other = (MaskedAutoencoder(TINY.architecture, seed) for seed in (1, 2))
    unpack(other, pack(model))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(DataError, match="has shape"):
        unpack(other, pack(model)[1:])
    broken = pack(model)
    broken[5] = np.inf
    with pytest.raises(DataError, match="1 entries that are not finite"):
        unpack(other, broken)


def test_settling_twice_keeps_the_people(ready: Path) -> None:
    site = site_of(ready)
    before = site.dataset().manifest["sha256"]
    assert settle(site) == "aurora"
    assert site.dataset().manifest["sha256"] == before
