"""How many person-days a second one core simulates: all 26 signals, gaps, reasons and truth.

Seconds depend on the machine and its load, so the same run, in turns, lets NumPy draw one float32 normal for each of
94,000 beats, about a person-day's; the ratio of the two is what compares across machines. CPU time is counted, not wall
time, after everything has been compiled.

    python benchmarks/simulate.py --people 20 --days 3
    python benchmarks/simulate.py --json
"""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from simulator.cohort import Cohort
from simulator.heartbeat import beat, rr_statistics
from simulator.missingness import find_gaps
from simulator.noise import time_key
from simulator.physiology import autonomic_tone, embody, heart_rate
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.routine import live_through
from simulator.sensors import measure
from simulator.signals import INDEX, MINUTES_PER_DAY

BEATS_PER_DAY = 94_000  # a day at 65 bpm
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Stopwatch:
    """CPU seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs) -> _Result:
        """What ``work`` returns; its CPU time is added under ``name``."""
        begin = time.process_time()
        result = work(*given, **named)
        self.seconds.setdefault(name, []).append(time.process_time() - begin)
        return result

    def milliseconds(self, name: str, per: float) -> float:
        """Mean of all times under ``name`` divided by ``per``."""
        return 1e3 * sum(self.seconds[name]) / per


def run(people: int, days: int, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Simulate ``people`` times ``days``, whole and in stages, beside NumPy's normals.

    Returns:
        Person-days per CPU-second; milliseconds of a person-day and of NumPy's normals, and by stage.
    """
    cohort = Cohort(population=POPULATIONS["lsm1"], people=people, days=days, seed=seed)
    rng = stream(seed, "benchmark")
    for _ in zip(cohort, range(2), strict=False):
        pass  # compiles
    watch = Stopwatch()
    for person in range(people):
        one = Cohort(population=cohort.population, people=1, days=days, seed=seed, first_person=person)
        watch.time("whole", deque, one, maxlen=0)
        for _ in range(days):
            watch.time("normals", rng.standard_normal, BEATS_PER_DAY, dtype=np.float32)
        _stages(watch, cohort, person)
    n = people * days
    whole, normals = watch.milliseconds("whole", n), watch.milliseconds("normals", n)
    figures = {
        "person_days": n,
        "person_days_per_second": 1e3 / whole,
        "person_day_ms": whole,
        "normals_ms": normals,
        "ratio": whole / normals,
    }
    stages = [name for name in watch.seconds if name not in ("whole", "normals")]
    return figures, {name: watch.milliseconds(name, n) for name in stages}


def _stages(watch: Stopwatch, cohort: Cohort, index: int) -> None:
    """One person's days again, stage by stage; "of which" stages are parts of the one above them."""
    person = watch.time("person", cohort.person, index)
    vendor = cohort.vendor_of(index)
    routines = watch.time("routine", list, live_through(person, range(cohort.days), cohort.start))
    key = time_key(person.seed, person.index, "body")
    for day, routine in enumerate(routines):
        latent = watch.time("body and truth", embody, person, routine, day)
        lead_in = routine.lead_in_minutes
        clock = np.arange(-lead_in, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0
        first = day * MINUTES_PER_DAY - lead_in
        rate = heart_rate(person, routine, key, clock, first)
        tone = autonomic_tone(person, routine, key, rate, first)
        beats, _ = watch.time("  of which beats", beat, tone, key, day)
        watch.time("  of which RR statistics", rr_statistics, beats)
        values = watch.time("sensors", measure, person, vendor, routine, latent, day)
        valid = values[INDEX["rr_valid"]]
        watch.time("gaps", find_gaps, person, vendor, routine, valid, latent.motion_g, day)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    asked = parser.parse_args()
    figures, stages = run(asked.people, asked.days, asked.seed)
    if asked.json:
        print(json.dumps(figures | {"stages_ms": {name.strip(): value for name, value in stages.items()}}))
        return
    print(f"{figures['person_days_per_second']:8.1f} person-days per CPU-second, one core, 26 signals, gaps and truth")
    print(f"{figures['person_day_ms']:8.2f} ms a person-day, {figures['ratio']:.1f} times what follows")
    print(f"{figures['normals_ms']:8.2f} ms for NumPy to draw {BEATS_PER_DAY} float32 normals")
    for name, milliseconds in stages.items():
        print(f"{milliseconds:8.2f} ms {name}")


if __name__ == "__main__":
    main()
