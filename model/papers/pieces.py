"""The pieces of work behind the tables: people, windows, models, scores; each is done once and says what came out."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from model.autoencoder import MaskedAutoencoder
from model.contrastive import METHODS as CONTRASTIVE
from model.contrastive import pairs
from model.ordering import apart, correlations
from model.papers.bench import Bench, load_days, make_labelled, make_people, make_windows
from model.papers.plan import (
    TABLES,
    Plan,
    Recipe,
    people_of,
    recipes,
)
from model.papers.scores import NEEDS, SCORES
from model.training import Origin, batches, describe_model, parameters, save_model, train
from model.windows import Days
from simulator.files import read_json

OPERATIONS_PER_SECOND: Final = 11e9  # multiply-adds of small models in training, one core; measured where this was made
_SECONDS: Final = {  # CPU seconds of scores at the size "hour"; most measured at "short", of which it is twice
    "fill random_imputation": 8.0,
    "fill temporal_interpolation": 40.0,
    "fill temporal_extrapolation": 40.0,
    "fill sensor_imputation": 50.0,
    "fill reading": 6.0,
    "fill routine": 30.0,
    "fill learned": 300.0,
    "fill mice": 300.0,
    "classes aim": 100.0,
    "few shots": 120.0,
    "robust": 200.0,
    "natural": 120.0,
    "mixes": 5.0,
    "costs": 3.0,
}
_OTHER_SECONDS: Final = 60.0  # of a score that is not listed
_PERSON_DAYS_PER_SECOND: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of work.

    Attributes:
        kind: "people", "windows", "labelled", "model" or "score".
        key: Which.
        cost: Estimated CPU seconds.
        needs: Names of the pieces that must be done before.
        recipe: Of a model.
    """

    kind: str
    key: str
    cost: float
    needs: tuple[str, ...] = ()
    recipe: Recipe | None = None

    @property
    def name(self) -> str:
        """Kind and key."""
        return f"{self.kind} {self.key}"


def do(piece: Piece, bench: Bench) -> dict[str, Any]:
    """Do a piece of work: what its record says."""
    began = time.process_time()
    if piece.kind == "model":
        assert piece.recipe is not None
        content = train_model(piece.recipe, bench)
    elif piece.kind == "people":
        content = make_people(piece.key, bench)
    elif piece.kind == "windows":
        content = make_windows(bench)
    elif piece.kind == "labelled":
        content = make_labelled(bench)
    else:
        content = SCORES[piece.key](bench)
    return content | {"cpu_seconds": round(time.process_time() - began, 2)}


def train_model(recipe: Recipe, bench: Bench) -> dict[str, Any]:
    """Train a model from its last checkpoint, if there is one, and write its folder."""
    folder = bench.folder / "models" / recipe.name
    checkpoint = folder / "checkpoint.safetensors"
    days = load_days(bench)
    people = sorted(set(days.person))[: people_of(recipe.people_share, bench.plan)]
    if recipe.people_share < 1:
        mine = np.flatnonzero(np.isin(days.person, people))
        days = Days(days.values[mine], days.observed[mine], tuple(days.person[i] for i in mine), days.date_index[mine])
    architecture = recipe.architecture
    if recipe.apart:
        order = apart(correlations(zip(days.values, days.observed, strict=True)))
        architecture = replace(architecture, signal_order=order)
    if not (folder / "model.safetensors").is_file():
        seed = bench.seed + recipe.weights_seed
        folder.mkdir(parents=True, exist_ok=True)
        model: Any
        if recipe.method == "mae":
            model = MaskedAutoencoder(architecture, seed)
            losses = train(model, days, recipe.training, seed=seed, checkpoint=checkpoint, loader=batches)
        else:
            learner = CONTRASTIVE[recipe.method](architecture, seed)
            losses = train(learner, days, recipe.training, seed=seed, checkpoint=checkpoint, loader=pairs)
            model = learner.network
        marks = read_json(bench.folder / "windows" / "marks.json", TypeAdapter(dict[str, str]))
        origin = Origin(
            seed=seed,
            people=tuple(sorted(marks[person] for person in people if person in marks)),
            plan=recipe.training,
            method=recipe.method,
            loss=losses[-1],
        )
        save_model(folder, model, bench.normaliser(), origin)
    checkpoint.unlink(missing_ok=True)
    made = describe_model(folder)
    return {
        "parameters": parameters(MaskedAutoencoder(architecture)),
        "steps": recipe.training.steps,
        "windows_a_step": recipe.training.batch_windows,
        "operations": recipe.step_operations * recipe.training.steps,
        "people": len(people),
        "hours": 24 * len(days),
        "loss": made.made_by.loss,
    }


OF_TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "3a": (
        "fill temporal_interpolation",
        "fill temporal_extrapolation",
        "fill sensor_imputation",
        "fill random_imputation",
        "fill reading",
        "fill mice",
        "fill learned",
        "fill routine",
    ),
    "gains": (
        "fill temporal_interpolation",
        "fill temporal_extrapolation",
        "fill sensor_imputation",
        "fill random_imputation",
    ),
    "natural": ("natural",),
    "3bc": tuple(f"classes {name}" for name in ("lsm1", "aim", "simclr", "dino", "msn")),
    "14": tuple(f"classes {name}" for name in ("lsm1", "aim", "simclr", "dino", "msn")),
    "lsm2": ("personal aim", "personal lsm1"),
    "robust": ("robust",),
    "lsm2-margins": ("fill random_imputation", "fill sensor_imputation", "robust"),
    "8": ("costs",),
    "6-cost": ("costs",),
    "19": ("mixes",),
    "5": ("masks", "seeds"),
    "7": ("orders", "seeds"),
    "6": ("patches", "seeds"),
    "4": ("ratios", "seeds"),
    "9": ("scaling",),
    "10": ("hours",),
    "12": ("clusters",),
    "11": ("few shots",),
}
"""By table, the scores that fill it; tables in the order in which they are worked on."""


def pieces_of(plan: Plan, seed: int, tables: Sequence[str] = tuple(TABLES)) -> list[Piece]:
    """The pieces that some tables need, in the order in which they are begun where nothing has to be waited for."""
    keys = list(dict.fromkeys(key for table, keys in OF_TABLE.items() if table in tables for key in keys))
    trained: dict[str, Recipe] = {}
    days = {
        "train": plan.train_people * plan.train_days,
        "test": plan.test_people * plan.test_days,
        "labels": plan.label_people * plan.label_days,
    }
    share = (plan.test_people * plan.windows_per_person + plan.most_windows) / 1240  # of the size "hour"
    order: dict[str, Piece] = {}

    def add(name: str) -> None:
        nonlocal trained
        if name in order:
            return
        kind, key = name.split(" ", 1)
        needs: tuple[str, ...] = ()
        recipe = None
        if kind == "people":
            cost = days[key] / _PERSON_DAYS_PER_SECOND
        elif kind == "windows":
            needs, cost = ("people train",), days["train"] / _PERSON_DAYS_PER_SECOND
        elif kind == "labelled":
            needs, cost = ("people labels", "windows train"), days["labels"] / _PERSON_DAYS_PER_SECOND
        elif kind == "model":
            trained = trained or {recipe.name: recipe for recipe in recipes(plan, seed)}
            needs, recipe = ("windows train",), trained[key].counted()
            cost = recipe.step_operations * recipe.training.steps / OPERATIONS_PER_SECOND
        else:
            needs, cost = NEEDS[key](plan), share * _SECONDS.get(key, _OTHER_SECONDS)
        for need in needs:
            add(need)
        order[name] = Piece(kind=kind, key=key, cost=1 + cost, needs=needs, recipe=recipe)

    for key in keys:
        add(f"score {key}")
    return list(order.values())


def seconds(work: Sequence[Piece]) -> float:
    """Estimated CPU seconds."""
    return sum(piece.cost for piece in work)
