"""Where the tables are worked on: a run's folder with people, arrays of windows, constants and models."""

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from model.autoencoder import MaskedAutoencoder
from model.evaluation.labels import Pool, gather
from model.papers.plan import (
    MINUTES,
    Plan,
)
from model.training import load_model
from model.windows import Days, Normaliser
from simulator.cohort import Cohort
from simulator.dataset import Dataset, open_dataset
from simulator.files import read_json, write_json, write_whole
from simulator.generating import simulate
from simulator.population import POPULATIONS
from simulator.randomness import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where the work is done.

    Attributes:
        plan: How large.
        seed: Of people, weights, batches, gaps and splits.
        folder: The run's.
    """

    plan: Plan
    seed: int
    folder: Path

    def cohort(self, side: str) -> Cohort:
        """Who is on a side; the three are parts of one cohort, so that nobody is on two."""
        plan = self.plan
        sizes = {
            "train": (plan.train_people, plan.train_days),
            "test": (plan.test_people, plan.test_days),
            "labels": (plan.label_people, plan.label_days),
        }
        before = sum(people for people, _ in list(sizes.values())[: list(sizes).index(side)])
        people, days = sizes[side]
        return Cohort(population=POPULATIONS["lsm1"], people=people, days=days, seed=self.seed, first_person=before)

    def dataset(self, side: str) -> Dataset:
        """The people of a side: "train", "test" or "labels"."""
        return open_dataset(self.folder / "people" / side)

    def normaliser(self) -> Normaliser:
        """Constants from the people to train on, which all models share."""
        return read_json(self.folder / "windows" / "normaliser.json", TypeAdapter(Normaliser))

    def network(self, name: str) -> MaskedAutoencoder:
        """A trained model."""
        return load_model(self.folder / "models" / name)[0]

    def test_days(self, people: int | None = None) -> tuple[Dataset, Days]:
        """The test people, or the first of them, as recordings and in z-scores."""
        dataset = self.dataset("test")
        if people is not None:
            dataset = dataset.select(sorted(dataset.people["person"])[:people])
        return dataset, Days.load(dataset, self.normaliser())


def make_people(side: str, bench: Bench) -> dict[str, Any]:
    """Simulate one side."""
    folder = bench.folder / "people" / side
    if not (folder / "dataset.json").is_file():
        simulate(bench.cohort(side), folder, reasons=side == "test", truth=side == "test")
    dataset = open_dataset(folder)
    return {"people": len(dataset.people), "person_days": len(dataset), "sha256": dataset.manifest.sha256}


def make_windows(bench: Bench) -> dict[str, Any]:
    """Normalise the days to train on, and keep them as arrays."""
    dataset = bench.dataset("train")
    normaliser = Normaliser.fit(dataset)
    days = Days.load(dataset, normaliser)
    folder = bench.folder / "windows"
    write_json(folder / "normaliser.json", asdict(normaliser))
    write_json(folder / "marks.json", dataset.marks())
    _write_arrays(
        folder / "train.npz",
        values=days.values,
        observed=days.observed,
        person=np.array(days.person),
        date_index=days.date_index,
    )
    usable = days.usable(MINUTES)
    return {"person_days": len(days), "hours": 24 * len(days), "windows": len(usable), "observed": _share(days)}


def _share(days: Days) -> float:
    return float(days.observed.mean())


def make_labelled(bench: Bench) -> dict[str, Any]:
    """Gather the labelled windows, the rare classes whole, and keep them as arrays."""
    plan = bench.plan
    pool = gather(
        bench.dataset("labels"),
        bench.normaliser(),
        MINUTES,
        kinds=frozenset(("bout", "mood", "any")),
        windows_per_person=plan.person_windows,
        seed=bench.seed,
    )
    kept = thin(pool, plan.most_windows, bench.seed)
    arrays = {name: getattr(kept, name) for name in POOL_ARRAYS}
    _write_arrays(bench.folder / "windows" / "labels.npz", **arrays)
    counts = {
        kind: dict(
            zip(*(x.tolist() for x in np.unique(kept.label[kept.kind == kind], return_counts=True)), strict=True)
        )
        for kind in ("bout", "mood", "any")
    }
    return {"found": len(pool), "kept": len(kept), "classes": counts}


POOL_ARRAYS: Final = ("values", "observed", "slot", "features", "kind", "label", "person")


def thin(pool: Pool, most: int, seed: int) -> Pool:
    """At most ``most`` windows of each kind, as equally from its classes as they reach."""
    order = stream(seed, "papers", "thin").permutation(len(pool))
    rows: list[int] = []
    for kind in np.unique(pool.kind):
        mine = order[pool.kind[order] == kind]
        rank = pd.Series(pool.label[mine]).groupby(pool.label[mine]).cumcount().to_numpy()
        rows += mine[np.argsort(rank, kind="stable")][:most].tolist()
    return take_rows(pool, np.sort(np.array(rows)))


def take_rows(pool: Pool, rows: NDArray[np.int64]) -> Pool:
    """Some windows of a pool."""
    return Pool(**{name: getattr(pool, name)[rows] for name in POOL_ARRAYS}, people=pool.people)


def load_pool(bench: Bench, kinds: Iterable[str]) -> Pool:
    """The labelled windows of these kinds."""
    with np.load(bench.folder / "windows" / "labels.npz", allow_pickle=False) as file:
        pool = Pool(**{name: file[name] for name in POOL_ARRAYS}, people=bench.dataset("labels").people)
    return take_rows(pool, np.flatnonzero(np.isin(pool.kind, sorted(kinds))))


def load_days(bench: Bench) -> Days:
    """The days to train on."""
    with np.load(bench.folder / "windows" / "train.npz", allow_pickle=False) as file:
        return Days(file["values"], file["observed"], tuple(file["person"].tolist()), file["date_index"])


def _write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Arrays as one file, whole or not at all."""
    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]
    write_whole(path, held.getvalue())
