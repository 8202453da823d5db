"""Whose days imputers are judged on, and whose networks may learn from: a dataset folder, or anybody's own table."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulator.dataset import open_dataset
from simulator.importing import import_minutes
from simulator.randomness import stream_key
from simulator.recording import DataError, Recording

LEAST_PEOPLE = 4  # fewer are not split by person, but by day


def first_days(source: Path, days_per_person: int, signals: Mapping[str, str] | None = None) -> list[Recording]:
    """The first days of everybody in a dataset folder, or a CSV or Parquet table as ``everywear import`` takes it.

    Args:
        source: Folder or table.
        days_per_person: How many of each, at most.
        signals: Of a table, further columns: theirs -> "person", "timestamp" or one of the 26 signals.

    Raises:
        DataError: If it is neither, or a folder's columns are named.
    """
    if source.is_dir() and (source / "dataset.json").is_file():
        if signals:
            raise DataError(f"{source}: a dataset folder names its signals itself, expected no other names")
        dataset = open_dataset(source)
        order = dataset.index.groupby("person", sort=False)["day"].rank(method="first")
        wanted = {(row.person, row.day) for row in dataset.index[order <= days_per_person].itertuples()}
        return [recording for recording in dataset if (recording.person, recording.day) in wanted]
    recordings, _, _ = import_minutes(source, signals)
    kept: list[Recording] = []
    count: dict[str, int] = {}
    for recording in recordings:
        count[recording.person] = count.get(recording.person, 0) + 1
        if count[recording.person] <= days_per_person:
            kept.append(recording)
    return kept


def halves(recordings: Sequence[Recording], seed: int) -> tuple[list[Recording], list[Recording]]:
    """Days to learn from and days to be judged on: of other people, or, of fewer than four people, of other days.

    Raises:
        DataError: If there are not two days.
    """
    people = sorted({recording.person for recording in recordings})
    if len(people) >= LEAST_PEOPLE:
        order = sorted(people, key=lambda person: stream_key(seed, "robustness", "half", person))
        learners = set(order[: len(order) // 2])
        learn = [recording for recording in recordings if recording.person in learners]
        return learn, [recording for recording in recordings if recording.person not in learners]
    ordered = sorted(recordings, key=lambda recording: (recording.person, recording.day))
    if len(ordered) < 2:
        raise DataError(f"{len(ordered)} day, expected two: one for networks to learn from, one to be judged on")
    return ordered[::2], ordered[1::2]


def without(recordings: Sequence[Recording], others: Sequence[Recording]) -> list[Recording]:
    """Days of the people none of whose days is among the others', whatever their names."""
    known = {_mark(recording) for recording in others}
    familiar = {recording.person for recording in recordings if _mark(recording) in known}
    return [recording for recording in recordings if recording.person not in familiar]


def acquaintances(source: Path, other: Path) -> set[str]:
    """The people of a dataset folder who are in another one too, whatever their names and their gaps there."""
    known = set(open_dataset(other).marks().values())
    return {person for person, mark in open_dataset(source).marks().items() if mark in known}


def digest(*facts: object, days: Sequence[Recording]) -> str:
    """Hash of days and of whatever else decides what is found."""
    sha = hashlib.blake2b(repr(facts).encode(), digest_size=16)
    for recording in days:
        sha.update(f"{recording.person}/{recording.day}/".encode() + _mark(recording))
        if recording.truth is not None:
            sha.update(recording.truth.tobytes())
    return sha.hexdigest()


def _mark(recording: Recording) -> bytes:
    seen = recording.values[recording.observed].tobytes()
    return hashlib.blake2b(recording.observed.tobytes() + seen, digest_size=16).digest()
