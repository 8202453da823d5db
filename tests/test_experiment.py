"""Experiments go to JSON and back, and name what is wrong with them."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.experiment import Experiment, Protection, Rounds
from federated.presets import DEMO, PRESETS, TINY
from privacy.plan import PrivacyError
from simulator.recording import DataError

experiments = st.builds(
    lambda seed, size, epsilon, rounds, makers: replace(
        TINY,
        seed=seed,
        size=size,
        makers=TINY.makers[:makers],
        protection=replace(TINY.protection, epsilon=epsilon),
        rounds=replace(TINY.rounds, rounds=rounds, least_makers=1),
    ),
    seed=st.integers(0, 2**31),
    size=st.sampled_from(["xxs", "s", "lsm1-tiny"]),
    epsilon=st.floats(0.1, 100),
    rounds=st.integers(1, 50),
    makers=st.integers(1, 5),
)


@settings(max_examples=20, deadline=None)
@given(one=experiments, other=experiments)
def test_json_gives_the_experiment_back_and_equal_digests_mean_equal_experiments(
    one: Experiment, other: Experiment
) -> None:
    assert Experiment.from_json(one.to_json()) == one
    assert (one.digest == other.digest) == (one == other)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("rounds", "rounds"), "many", "rounds.rounds"),
        (("protection", "noise"), "a little", "protection.noise"),
        (("nonsense",), 1, "nonsense"),
        (("size",), "huge", "size 'huge' is unknown"),
    ],
)
def test_a_wrong_field_is_named(path: tuple[str, ...], value: object, message: str) -> None:
    content = json.loads(TINY.to_json())
    inner = content
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(DataError, match=message):
        Experiment.from_json(json.dumps(content))


def test_impossible_federations_are_refused() -> None:
    with pytest.raises(DataError, match="with a name of its own"):
        replace(TINY, makers=(TINY.makers[0], TINY.makers[0]))
    with pytest.raises(DataError, match="at least one"):
        replace(TINY, makers=())
    with pytest.raises(DataError, match="device of aurora 'abacus' is unknown"):
        replace(TINY, makers=(replace(TINY.makers[0], device="abacus"),), rounds=Rounds())
    with pytest.raises(DataError, match="people of aurora 0"):
        replace(TINY, makers=(replace(TINY.makers[0], people=0),), rounds=Rounds())
    with pytest.raises(DataError, match="small letters"):
        replace(TINY, makers=(replace(TINY.makers[0], name="../aurora"),), rounds=Rounds())
    for bad in ({"least_makers": 0}, {"least_makers": 6}, {"learning_rate": math.nan}, {"momentum": -3.0}):
        with pytest.raises(DataError, match=r"least makers|learning rate"):
            replace(TINY, rounds=replace(TINY.rounds, **bad))
    with pytest.raises(DataError, match="noise 'some'"):
        replace(TINY, protection=Protection(noise="some"))  # type: ignore[arg-type]


def test_the_plan_keeps_the_promise_with_public_constants_only() -> None:
    for preset in (preset.resolved() for preset in PRESETS.values()):
        assert preset.resolved() == preset
        for maker in preset.makers:
            plan = preset.plan(maker)
            assert 0.97 * preset.protection.epsilon < plan.epsilon() <= preset.protection.epsilon
            assert plan.divisor == preset.protection.sampling_rate * maker.people
            assert plan.steps == preset.rounds.rounds * preset.rounds.steps


def test_an_impossible_promise_is_an_error() -> None:
    with pytest.raises(PrivacyError, match="epsilon"):
        replace(TINY, protection=Protection(epsilon=-1.0)).resolved()
    with pytest.raises(PrivacyError, match="resolve the experiment first"):
        TINY.plan(TINY.makers[0])


def test_noise_that_is_given_must_keep_the_promise() -> None:
    resolved = TINY.resolved()
    assert resolved.resolved() == resolved
    with pytest.raises(PrivacyError, match=r"spends epsilon .* more than the 3 promised"):
        replace(resolved, protection=replace(resolved.protection, epsilon=3.0)).resolved()
    with pytest.raises(PrivacyError, match="noise_multiplier=-1"):
        replace(TINY, protection=replace(TINY.protection, noise_multiplier=-1.0)).resolved()


def test_an_absurd_delta_is_refused_before_noise_is_sought() -> None:
    with pytest.raises(PrivacyError, match=r"delta=0.5 is not below 1/people"):
        replace(TINY, protection=replace(TINY.protection, delta=0.5)).resolved()


def test_the_demo_is_a_federation_of_at_least_five_makers_that_differ() -> None:
    sensors = [maker.vendor.sensors for maker in DEMO.makers]
    assert len(sensors) >= 5
    for sensor in ("EDA", "TEMP", "ALT"):
        assert 0 < sum(sensor in has for has in sensors) < len(sensors)
    assert len({(maker.population.age_shift_years, maker.population.activity_factor) for maker in DEMO.makers}) > 2


def test_steps_are_rounds_times_local_steps() -> None:
    assert replace(TINY, rounds=Rounds(rounds=7, steps=3)).steps == 21
