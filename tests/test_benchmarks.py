"""The benchmark of a corpus: what it has measured stays measured, through interrupts and on a small disk."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks import simulate as benchmark
from simulator import generating
from simulator.cohort import Cohort
from simulator.population import POPULATIONS

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
