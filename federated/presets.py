"""Named experiments, as values."""

from dataclasses import replace
from typing import Final

from federated.experiment import Evaluation, Experiment, Maker, Protection, Public, Rounds
from model.masking import MASKS
from model.training import TrainingPlan
from simulator.population import POPULATIONS, Population

PUBLIC: Final = POPULATIONS["lsm1"]


def _people(name: str, **differs: object) -> Population:
    return replace(PUBLIC, name=name, **differs)  # type: ignore[arg-type]


MAKERS: Final[tuple[Maker, ...]] = (
    # all five sensors, the public cohort's own device; older people who move less
    Maker(
        name="aurora",
        device="fitbit-sense-2",
        population=_people("aurora", age_shift_years=12.0, activity_factor=0.75, fitness_shift_ml_kg_min=-4.0),
    ),
    # no skin conductance, temperature in sleep only, charged daily; late sleepers
    Maker(name="borealis", device="apple-watch-9", population=_people("borealis", mid_sleep_shift_hours=1.5)),
    # neither skin conductance nor temperature; sporty people
    Maker(
        name="cirrus",
        device="garmin-venu-3",
        population=_people("cirrus", exercise_factor=2.5, activity_factor=1.3, fitness_shift_ml_kg_min=8.0),
    ),
    # heart and motion only; heavier people
    Maker(name="dune", device="fitbit-inspire-3", population=_people("dune", bmi_factor=1.12, activity_factor=0.9)),
    # skin conductance and temperature day and night, no altimeter; young people who often take it off
    Maker(
        name="ember",
        device="empatica-embraceplus",
        population=_people("ember", age_shift_years=-12.0, off_wrist_factor=2.0, worn_nights_factor=0.8),
    ),
)

DEMO: Final = Experiment(
    name="demo",
    seed=1,
    size="xxs",
    window_minutes=300,
    public=Public(
        people=250,
        validation_people=40,
        days=2,
        warm_up=TrainingPlan(steps=400, batch_windows=16, learning_rate=3e-3, masks=MASKS["tasks"]),
    ),
    makers=MAKERS,
    protection=Protection(windows_per_person=1),
    rounds=Rounds(rounds=4, steps=5, least_makers=5),
    evaluation=Evaluation(people_per_maker=16, days=3, windows_per_person=4),
)

TINY: Final = Experiment(
    name="tiny",
    public=Public(
        people=8, validation_people=3, days=1, warm_up=TrainingPlan(steps=6, batch_windows=8, checkpoint_every=3)
    ),
    makers=tuple(replace(maker, people=12, days=1) for maker in MAKERS),
    protection=Protection(sampling_rate=0.3, windows_per_person=1),
    rounds=Rounds(rounds=2, steps=2, learning_rate=0.05, least_makers=5),
    evaluation=Evaluation(people_per_maker=2, days=2, windows_per_person=2),
)

PRESETS: Final[dict[str, Experiment]] = {experiment.name: experiment for experiment in (DEMO, TINY)}
