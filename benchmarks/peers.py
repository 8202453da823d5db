"""The peers that install, run beside us: what comes out of a person-day, and how fast.

Peers live in a virtual environment of their own that the user names; everywear depends on none of them. Each runs in
its own process, which says one JSON object: how long its person-days took, and minute values of heart rate and steps
where it has them. Contents differ, so read that column first; a peer that is not installed or fails says so.

    python -m venv peers && peers/bin/pip install wearipedia vitalforge neurokit2
    python benchmarks/peers.py peers
    python benchmarks/peers.py peers --against data/fitabase    # can a classifier tell each from these real people?
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from federated.study.records import commit
from simulator.cohort import Cohort
from simulator.dataset import open_dataset, write_dataset
from simulator.generating import simulate
from simulator.population import POPULATIONS
from simulator.realism.against import compare
from simulator.recording import SHAPE, Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, SIGNALS

TIMEOUT_SECONDS = 240.0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A generator of another project.

    Attributes:
        name: As pip knows it.
        content: What a person-day of it holds.
        person_days: How many are made.
        code: Makes them in ``make()``, which returns heart rates [n] in order of time, and minutes between them; a peer
            that can be held against real people has ``person(seed)``, too: pairs of a day's heart rates, evenly spaced,
            and its number of steps.
    """

    name: str
    content: str
    person_days: float
    code: str


PEERS = (
    Peer(
        name="wearipedia",
        content="Fitbit Sense: heart rate a second, distance, sleep; no gaps, no person",
        person_days=2,
        code="""
from wearipedia.devices.fitbit import fitbit_sense_gen
def numbers(found):
    if isinstance(found, dict):
        if "value" in found and isinstance(found["value"], dict) and "bpm" in found["value"]:
            yield float(found["value"]["bpm"])
        elif "time" in found and "value" in found and isinstance(found["value"], (int, float)):
            yield float(found["value"])
        else:
            for inner in found.values():
                yield from numbers(inner)
    elif isinstance(found, (list, tuple)):
        for inner in found:
            yield from numbers(inner)
def make():
    data = fitbit_sense_gen.create_syn_data(0, "2024-01-01", "2024-01-03")
    def of(found):
        if isinstance(found, dict):
            for key, inner in found.items():
                if "heart" in str(key).lower():
                    yield from numbers(inner)
                else:
                    yield from of(inner)
        elif isinstance(found, (list, tuple)):
            for inner in found:
                yield from of(inner)
    return list(of(data)), 1 / 60
def person(seed):
    data = fitbit_sense_gen.create_syn_data(seed, "2024-01-01", "2024-01-04")
    steps = [day["value"] for day in data["steps"][0]["activities-steps"]]
    return [(list(numbers(day)), count) for day, count in zip(data["intraday_heart_rate"], steps)]
""",
    ),
    Peer(
        name="vitalforge",
        content="heart rate every 20 min (of its heart rate, daily steps, sleep cycles); no gaps",
        person_days=365,
        code="""
import vitalforge
from vitalforge.personas import persona_from_dict
HEART = {"resting_mean": 62, "resting_std": 4, "active_mean": 105, "active_std": 15, "sleep_mean": 54, "sleep_std": 3}
PROFILE = {"name": "A", "sex": "female", "birth_date": "1980-01-01"}
def make():
    persona = persona_from_dict({"profile": PROFILE, "start_date": "2024-01-01", "baseline": {"heart_rate": HEART}})
    data = vitalforge.build_dataset(persona, days=365, seed=1)
    return [sample["value"] for day in data["signals"] for sample in day["samples"]], 20
def person(seed):
    heart = {name: value + seed % 7 - 3 if "mean" in name else value for name, value in HEART.items()}
    persona = persona_from_dict({"profile": PROFILE, "start_date": "2024-01-01", "baseline": {"heart_rate": heart}})
    data = vitalforge.build_dataset(persona, days=3, seed=seed)
    return [([sample["value"] for sample in day["samples"]], 7000) for day in data["signals"]]
""",
    ),
    Peer(
        name="neurokit2",
        content="one hour of PPG at 64 Hz and its beats' RR statistics a minute; stationary, no day",
        person_days=1 / 24,
        code="""
import warnings, neurokit2 as nk
warnings.filterwarnings("ignore")
def make():
    ppg = nk.ppg_simulate(duration=3600, sampling_rate=64, random_state=1)
    peaks = nk.ppg_peaks(ppg, sampling_rate=64)[1]["PPG_Peaks"]
    rates = []
    for minute in range(4, 60):
        window = peaks[(peaks / 64 >= (minute - 4) * 60) & (peaks / 64 < (minute + 1) * 60)]
        nk.hrv_time(window, sampling_rate=64)
        rates.append(60 * 64 * (len(window) - 1) / float(window[-1] - window[0]))
    return rates, 1
""",
    ),
)

HARNESS = """
import contextlib, json, sys, time
with contextlib.redirect_stdout(sys.stderr):
    begin = time.process_time()
    make()  # loads and compiles
    first = time.process_time() - begin
    begin = time.process_time()
    rates, step = make()
    seconds = time.process_time() - begin
print(json.dumps({"cpu_seconds": seconds, "heart_rate": rates[:400000], "minutes_between": step}))
"""

DAYS_HARNESS = """
import contextlib, json, sys
with contextlib.redirect_stdout(sys.stderr):
    people = [person(seed) for seed in range(PEOPLE)]
print(json.dumps(people))
"""
_WAKING = slice(7 * 60, 23 * 60)  # minutes over which a day's steps are spread evenly where a peer has no more


def against(environment: Path, cohort: Cohort, real: Path) -> list[dict[str, Any]]:
    """How well a classifier tells us, and the peers with a day of heart rate and steps, from real people.

    Args:
        environment: A virtual environment that has the peers.
        cohort: Our people; peers make as many.
        real: Dataset folder of real people.
    """
    rows, theirs = [], open_dataset(real)
    with tempfile.TemporaryDirectory() as scratch:
        simulate(cohort, Path(scratch) / "everywear")
        for peer in PEERS:
            if "def person" in peer.code:
                people = _run(environment, f"{peer.code}\nPEOPLE = {cohort.people}\n{DAYS_HARNESS}")
                names = [f"{peer.name}-{i}" for i in range(len(people))]
                recordings = [r for name, days in zip(names, people, strict=True) for r in _recordings(name, days)]
                write_dataset(Path(scratch) / peer.name, recordings, pd.DataFrame({"person": names}))
        for folder in sorted(Path(scratch).iterdir()):
            found = compare(open_dataset(folder), theirs, cohort.seed).separation
            rows.append({"peer": folder.name, "auroc": found.auroc, "interval": found.interval})
    return rows


def _recordings(person: str, days: list[tuple[list[float], int]]) -> Iterator[Recording]:
    """A peer's days as recordings of heart rate and steps: rates are averaged within a minute, and drawn on between."""
    for day, (rates, steps) in enumerate(days):
        minute = np.linspace(0, MINUTES_PER_DAY, len(rates), endpoint=False).astype(int)
        count = np.bincount(minute, minlength=MINUTES_PER_DAY)
        known = np.flatnonzero(count)
        means = np.bincount(minute, weights=rates, minlength=MINUTES_PER_DAY)[known] / count[known]
        walked = np.zeros(MINUTES_PER_DAY)
        walked[_WAKING] = np.diff(np.floor(np.linspace(0, steps, _WAKING.stop - _WAKING.start + 1)))
        values = np.zeros(SHAPE, np.float32)
        for name, found in (
            ("heart_rate", np.interp(np.arange(MINUTES_PER_DAY), known, means)),
            ("steps", walked),
        ):
            values[INDEX[name]] = np.clip(found, SIGNALS[INDEX[name]].low, SIGNALS[INDEX[name]].high)
        reason = np.full(SHAPE, Reason.SENSOR_ABSENT, np.uint8)
        reason[[INDEX["heart_rate"], INDEX["steps"]]] = Reason.OBSERVED
        yield Recording(
            person=person,
            vendor="peer",
            day=day,
            date=date(2024, 1, 1) + timedelta(days=day),
            values=values,
            observed=reason == Reason.OBSERVED,
            reason=reason,
        )


def run(environment: Path, cohort: Cohort) -> list[dict[str, Any]]:
    """A row for us and for every peer: content, speed, and whether heart rate has a memory and a night.

    Args:
        environment: A virtual environment that has the peers.
        cohort: Our people.
    """
    begin = time.process_time()
    deque(cohort, maxlen=0)
    seconds = time.process_time() - begin
    rates = np.concatenate([_filled(recording.values, recording.observed) for recording in cohort.of_person(0)])
    ours = {"cpu_seconds": seconds, "heart_rate": rates.tolist(), "minutes_between": 1}
    rows = [_row("everywear", "26 signals a minute, gaps with reasons, truth, diary", len(cohort), ours)]
    for peer in PEERS:
        try:
            rows.append(_row(peer.name, peer.content, peer.person_days, _run(environment, peer.code + HARNESS)))
        except (subprocess.SubprocessError, ValueError, OSError) as error:
            rows.append({"peer": peer.name, "content": peer.content, "failed": str(error).splitlines()[-1][:200]})
    return rows


def _filled(values: Any, observed: Any) -> Any:
    """Heart rate with its gaps filled linearly, as peers have none."""
    i, minutes = INDEX["heart_rate"], np.arange(values.shape[1])
    seen = observed[i]
    return np.interp(minutes, minutes[seen], values[i][seen]) if seen.any() else np.zeros(0)


def _run(environment: Path, code: str) -> Any:
    """What code says in the peers' environment.

    Raises:
        ValueError: If it fails; with its last line.
    """
    python = environment / "bin" / "python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or ["no word"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def _row(name: str, content: str, person_days: float, said: dict[str, Any]) -> dict[str, Any]:
    """Speed and the shape of heart rate.

    ``autocorrelation`` is at the lag that is nearest to, and not below, one and sixty minutes.
    """
    rates = np.asarray(said["heart_rate"], dtype=np.float64)
    step = said["minutes_between"]
    lags = {minutes: max(1, round(minutes / step)) for minutes in (1, 60)}
    correlations = {
        f"autocorrelation_{minutes}_min": _correlation(rates, lag) for minutes, lag in lags.items() if len(rates) > lag
    }
    return {
        "peer": name,
        "content": content,
        "person_days": person_days,
        "cpu_seconds": said["cpu_seconds"],
        "person_days_per_cpu_second": person_days / max(said["cpu_seconds"], 1e-9),
        "heart_rates_per_person_day": len(rates) / person_days if name != "everywear" else 1440,
        **correlations,
    }


def _correlation(values: Any, lag: int) -> float | None:
    if values[:-lag].std() == 0 or values[lag:].std() == 0:
        return None
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def as_text(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as lines."""
    lines = ["", f"{'peer':12s} {'person-days/CPU-s':>18s} {'HR autocorrelation 1, 60 min':>30s}  content"]
    for row in rows:
        if "failed" in row:
            lines.append(f"{row['peer']:12s} {'failed':>18s} {row['failed']:>30s}  {row['content']}")
            continue
        memory = [row.get(f"autocorrelation_{minutes}_min") for minutes in (1, 60)]
        shown = ", ".join("-" if value is None else f"{value:.3f}" for value in memory)
        lines.append(f"{row['peer']:12s} {row['person_days_per_cpu_second']:18.2f} {shown:>30s}  {row['content']}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", type=Path, help="a virtual environment that has the peers")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--against", type=Path, default=None, help="a dataset folder of real people")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    asked = parser.parse_args()
    cohort = Cohort(population=POPULATIONS["lsm1"], people=asked.people, days=asked.days, seed=asked.seed)
    deque(cohort.of_person(0), maxlen=0)  # compiles
    record: dict[str, Any] = {"command": " ".join(["python", "benchmarks/peers.py", *sys.argv[1:]])}
    record |= {"commit": commit(), "seed": asked.seed, "peers": run(asked.environment, cohort)}
    lines = [f"{record['command']}   commit {record['commit']}   seed {asked.seed}", *as_text(record["peers"])]
    if asked.against is not None:
        record["against"] = against(asked.environment, cohort, asked.against)
        lines += ["", f"told from {asked.against} by a classifier, area under the ROC curve (0.5: not at all):"]
        lines += [f"{row['peer']:12s} {row['auroc']:.3f}  {row['interval']}" for row in record["against"]]
    sys.stdout.write((json.dumps(record) if asked.json else "\n".join(lines)) + "\n")


if __name__ == "__main__":
    main()
