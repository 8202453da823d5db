"""Gaps of everywear, PyGrinder and TSGap in the same complete days: is the rate met, do channels go together, how fast?

    python benchmarks/missingness.py VENV --people 8 --days 7

VENV is a virtual environment with ``pygrinder`` and ``tsgap``; the peers run there, in a process of their own, on the
array that our simulator's truth fills: [people, minutes, 26], nothing missing. For every scenario of ours and every
pattern of theirs a row says what was asked and met (of all cells), in what share of the minutes with any gap all
channels were missing together, how long a run of missing minutes of heart rate is at the median, and how many
person-days a CPU second does, the second time, since the first compiles and loads. Patterns that take no rate
(PyGrinder's MNAR) are run as they come and have none asked; parameters are the libraries' defaults where they have any.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from federated.study.records import commit
from simulator.cohort import Cohort
from simulator.injecting import inject
from simulator.population import POPULATIONS
from simulator.recording import DataError, runs_of
from simulator.scenarios import SCENARIOS
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS

TIMEOUT_SECONDS: Final = 1200
OURS: Final = ("natural", "careless", "nights_off", "daily_charger", "off_wrist", "sparse_firmware", "restless")
PEERS: Final[dict[str, str]] = {
    "pygrinder mcar": "np.stack([pygrinder.mcar(day, p=RATE) for day in X])",
    "pygrinder rdo": "pygrinder.rdo(X, p=RATE)",
    "pygrinder seq_missing, 60 min": "pygrinder.seq_missing(X, p=RATE, seq_len=60)",
    "pygrinder block_missing, 60 min, all channels": (
        "pygrinder.block_missing(X, factor=RATE, block_len=60, block_width=X.shape[2])"
    ),
    "pygrinder mar_logistic": "np.stack([pygrinder.mar_logistic(day, obs_rate=0.1, missing_rate=RATE) for day in X])",
    "pygrinder mnar_x": "pygrinder.mnar_x(X)",
    "pygrinder mnar_t": "pygrinder.mnar_t(X)",
    "pygrinder mnar_nonuniform": "pygrinder.mnar_nonuniform(X, p=RATE)",
    **{
        f"tsgap {mechanism} {pattern}{said}": (
            f"np.stack([tsgap.simulate_missingness(person, {mechanism!r}, RATE, seed=i, pattern={pattern!r}{more})[0] "
            "for i, person in enumerate(X)])"
        )
        for mechanism, pattern, said, more in (
            ("mcar", "pointwise", "", ""),
            ("mcar", "block", ", 60 min", ", block_len=60"),
            ("mcar", "block", ", 1 % of the time", ", block_frac=0.01"),
            ("mcar", "monotone", "", ""),
            ("mcar", "decay", "", ""),
            ("mcar", "markov", "", ""),
            ("mcar", "gilbert_elliott", "", ""),
            ("mar", "block", ", 1 % of the time", ", driver_dims=[13], block_frac=0.01"),  # driven by steps
            ("mnar", "block", ", 1 % of the time", ", block_frac=0.01"),
        )
    },
}
"""What each makes of complete ``X`` [people, minutes, 26] at ``RATE``: the same with NaN. TSGap takes person by person,
since in a stack its blocks stop at a number that does not grow with the people: 5 % of 30 % for six of them."""

HARNESS: Final = """
import json, sys, time, contextlib, warnings
warnings.simplefilter("ignore")
with contextlib.redirect_stdout(sys.stderr):
    import numpy as np, pygrinder, tsgap
X, RATE, OUT = np.load(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
said = []
for number, (name, code) in enumerate(json.loads(sys.argv[4])):
    try:
        with contextlib.redirect_stdout(sys.stderr):
            np.random.seed(1)
            for _ in range(2):
                begin = time.process_time()
                done = eval(code)
                seconds = time.process_time() - begin
        done = done[0] if isinstance(done, tuple) else done
        np.save(f"{OUT}/{number}.npy", np.isnan(np.asarray(done)))
        said.append([name, seconds, None])
    except Exception as error:
        said.append([name, None, f"{type(error).__name__}: {error}"[:160]])
print(json.dumps(said))
"""


def complete_days(people: int, days: int, seed: int) -> NDArray[np.float32]:
    """What perfect watches would have recorded: float32 [people, days * 1440, 26]."""
    cohort = Cohort(population=POPULATIONS["vendors"], people=people, days=days, seed=seed)
    by_person: dict[str, list[NDArray[np.float32]]] = {}
    for recording in cohort:
        if recording.truth is not None:
            by_person.setdefault(recording.person, []).append(recording.truth.T)
    return np.stack([np.concatenate(each) for each in by_person.values()])


def describe(name: str, missing: NDArray[np.bool_], asked: float | None, cpu_seconds: float) -> dict[str, Any]:
    """A row of the table from a mask [people, minutes, 26]."""
    gap, away = missing.any(axis=2), missing.all(axis=2)
    lengths = [end - begin for person in missing[..., INDEX["heart_rate"]] for begin, end in runs_of(person).tolist()]
    return {
        "name": name,
        "asked": asked,
        "met": float(missing.mean()),
        "together": float(away.sum() / max(1, gap.sum())),
        "median_gap_minutes": float(np.median(lengths)) if lengths else None,
        "person_days_per_cpu_second": missing.shape[0] * missing.shape[1] / MINUTES_PER_DAY / max(cpu_seconds, 1e-9),
    }


def ours(days: NDArray[np.float32], rate: float, seed: int) -> list[dict[str, Any]]:
    """A row for each of our scenarios; one that cannot meet the rate says how far it goes."""
    rows = []
    for scenario in OURS:
        try:
            inject(days[:1], scenario, rate=rate / 4, seed=seed)  # compiles
            begin = time.process_time()
            done = inject(days, scenario, rate=rate, seed=seed)
            rows.append(describe(f"everywear {scenario}", done.mask, rate, time.process_time() - begin))
        except DataError as refusal:
            rows.append({"name": f"everywear {scenario}", "asked": rate, "failed": str(refusal).rsplit("rows ", 1)[-1]})
    return rows


def theirs(environment: Path, days: NDArray[np.float32], rate: float) -> list[dict[str, Any]]:
    """A row for each pattern of the peers; one that fails says why."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "days.npy"
        np.save(source, days.astype(np.float64))
        arguments = [str(source), str(rate), scratch, json.dumps(list(PEERS.items()))]
        python = environment / "bin" / "python"
        done = subprocess.run(
            [python, "-c", HARNESS, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        if done.returncode:
            raise SystemExit(f"{python}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        rows = []
        for number, (name, seconds, failed) in enumerate(json.loads(done.stdout.splitlines()[-1])):
            asked = rate if "RATE" in PEERS[name] else None
            if failed is None:
                rows.append(describe(name, np.load(Path(scratch) / f"{number}.npy"), asked, seconds))
            else:
                rows.append({"name": name, "asked": asked, "failed": failed})
        return rows


def as_text(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as lines."""
    head = f"{'':46s}{'asked':>8s}{'met':>8s}{'together':>10s}{'median gap':>12s}{'person-days/CPU-s':>19s}"
    lines = [head]
    for row in rows:
        asked = "-" if row["asked"] is None else f"{100 * row['asked']:.0f} %"
        if "failed" in row:
            lines.append(f"{row['name']:46s}{asked:>8s}  {row['failed']}")
            continue
        gap = "-" if row["median_gap_minutes"] is None else f"{row['median_gap_minutes']:.0f} min"
        lines.append(
            f"{row['name']:46s}{asked:>8s}{100 * row['met']:>6.1f} %{100 * row['together']:>8.1f} %{gap:>12s}"
            f"{row['person_days_per_cpu_second']:>19.1f}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", type=Path, help="a virtual environment with pygrinder and tsgap")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    asked = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        days = complete_days(asked.people, asked.days, asked.seed)
        assert days.shape[2] == N_SIGNALS
        rows = [*ours(days, asked.rate, asked.seed), *theirs(asked.environment, days, asked.rate)]
    record: dict[str, Any] = {"command": " ".join(["python", "benchmarks/missingness.py", *sys.argv[1:]])}
    record |= {"commit": commit(), "seed": asked.seed, "scenarios": len(SCENARIOS), "rows": rows}
    lines = [f"{record['command']}   commit {record['commit']}   seed {asked.seed}", "", *as_text(rows)]
    sys.stdout.write((json.dumps(record) if asked.json else "\n".join(lines)) + "\n")


if __name__ == "__main__":
    main()
