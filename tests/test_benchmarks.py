"""The benchmark of a corpus: what it has measured stays measured, through interrupts and on a small disk."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import missingness
from benchmarks import simulate as benchmark
from simulator import generating
from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.signals import INDEX

COHORT = Cohort(population=POPULATIONS["lsm1"], people=6, days=2, seed=6)


def test_a_corpus_goes_on_after_an_interrupt_shard_by_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generating, "LEAST_PERSON_DAYS", 4)
    made: list[int] = []

    def interrupted(*given: Any, shard: int, **named: Any) -> Any:
        made.append(shard)
        if made == [1, 2]:
            raise KeyboardInterrupt
        return generating.simulate(*given, shard=shard, **named)

    monkeypatch.setattr(benchmark, "simulate", interrupted)
    folder = tmp_path / "corpus"
    room = shutil.disk_usage(tmp_path).free * benchmark.SHARE_OF_FREE_DISK
    kilobytes = 2.5 * room / 1e3 / len(COHORT)  # so that a third fits at a time
    with pytest.raises(KeyboardInterrupt):
        benchmark.corpus(COHORT, folder, kilobytes, 0.01)
    assert {path.name for path in folder.iterdir()} == {"clock.json"}
    found = benchmark.corpus(COHORT, folder, kilobytes, 0.01)
    assert made == [1, 2, 2, 3]
    assert found["person_days"] == len(COHORT)
    assert found["shards"] == 3
    assert found["cpu_seconds"] > 0
    assert not folder.exists()


def test_injected_gaps_are_described_as_they_are() -> None:
    mask = np.zeros((2, 1440, 26), bool)
    mask[0, 100:200] = True
    mask[1, 0:50, INDEX["heart_rate"]] = True
    row = missingness.describe("two gaps", mask, 0.1, cpu_seconds=0.5)
    assert row["met"] == mask.mean()
    assert row["together"] == 100 / 150
    assert row["median_gap_minutes"] == 75
    assert row["person_days_per_cpu_second"] == 4
    days = missingness.complete_days(people=2, days=1, seed=1)
    assert days.shape == (2, 1440, 26)
    assert np.isfinite(days).all()
    rows = {each["name"]: each for each in missingness.ours(days, 0.2, seed=1)}
    assert abs(rows["everywear off_wrist"]["met"] - 0.2) <= 0.01
    assert rows["everywear off_wrist"]["together"] > 0.8
    text = "\n".join(missingness.as_text([*rows.values(), {"name": "broken", "asked": None, "failed": "no word"}]))
    assert "no word" in text
