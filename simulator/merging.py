"""Merging: finished dataset folders become one, without reading a single cell.

Part files are linked or copied as they are, people and events joined, and the contents added up; so the shards of a
cohort give, byte for byte, the folder that one machine would have written. Only where people get new names, since
other people have theirs, is everything read and written anew.
"""

import itertools
import os
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.content import Content
from simulator.dataset import open_dataset, open_manifest, write_dataset
from simulator.dataset_layout import EVENT_SCHEMA, EVENTS, PEOPLE, Manifest
from simulator.dataset_writing import (
    EVENTS_PER_GROUP,
    PEOPLE_PER_GROUP,
    Summary,
    free,
    growing,
    join_tables,
    summary_of,
    write_manifest,
)
from simulator.recording import DataError, Recording

_KINDS: Final = ("recordings", "truth", "reasons")


def merge_datasets(folders: Sequence[Path], out: Path, *, rename: bool = False) -> Summary:
    """Write one dataset folder that holds what these hold.

    Where the folders are shards, all of them must be there. Files are linked where the file system can, so that
    nothing is copied; nobody changes a part file once it is written.

    Args:
        folders: Finished dataset folders, in any order.
        out: Where to; must not exist, or be empty.
        rename: Put the folder's name and a dash before every identifier: two cohorts of a population with different
            seeds have the same ones for different people. A model still knows whom it was trained on, since
            ``Dataset.marks`` are of what was measured.

    Raises:
        DataError: If a folder is none of ours, keeps other things than the first, has a person of another (with
            ``rename``: somebody who was measured the same, whatever the name), or a shard is missing; or the target
            is in use.
    """
    free(Path(out))
    if not folders:
        raise DataError("no folders to merge, expected at least one")
    twice = next((folder for i, folder in enumerate(folders) if folder in folders[:i]), None)
    if twice is not None:
        raise DataError(f"{twice}: stands twice among the folders")
    manifests = {Path(folder): open_manifest(Path(folder)) for folder in folders}
    for folder, manifest in manifests.items():
        _check(folder, manifest, *next(iter(manifests.items())))
    if rename:
        return _merge_renamed(manifests, Path(out))
    made_by = _made_by(manifests)
    people = {folder: pq.read_table(folder / PEOPLE) for folder in manifests}
    ordered = sorted(manifests, key=lambda folder: min(people[folder]["person"].to_pylist()))
    _check_people({folder: people[folder] for folder in ordered})
    content = Content()
    with growing(Path(out)) as partial:
        parts: set[str] = set()
        for folder in ordered:
            content.join(Content.from_text(manifests[folder].content))
            for part in manifests[folder].parts:
                name = _free_name(part, parts)
                parts.add(name)
                for kind in _KINDS:
                    if (folder / kind / part).exists():
                        _link(folder / kind / part, partial / kind / name)
        schema = people[ordered[0]].schema
        join_tables([folder / PEOPLE for folder in ordered], partial / PEOPLE, schema, PEOPLE_PER_GROUP)
        join_tables([folder / EVENTS for folder in ordered], partial / EVENTS, EVENT_SCHEMA, EVENTS_PER_GROUP)
        first = manifests[ordered[0]]
        manifest = write_manifest(
            partial,
            people=sum(manifest.people for manifest in manifests.values()),
            person_days=sum(manifest.person_days for manifest in manifests.values()),
            content=content,
            truth=first.truth,
            reasons=first.reasons,
            parts=parts,
            made_by=made_by,
        )
    return summary_of(Path(out), manifest)


def _merge_renamed(manifests: Mapping[Path, Manifest], out: Path) -> Summary:
    """The same with the folders' names before their people's."""
    datasets = {folder.resolve().name: open_dataset(folder) for folder in manifests}
    if len(datasets) < len(manifests):
        listed = ", ".join(map(str, manifests))
        raise DataError(f"{listed}: two have the same name, which is to tell their people apart; rename a folder")
    schema = next(iter(datasets.values())).people.columns
    seen: dict[str, str] = {}
    for name, dataset in datasets.items():
        if not dataset.people.columns.equals(schema):
            raise DataError(
                f"{dataset.folder / PEOPLE}: other columns than the first folder's, expected {list(schema)}"
            )
        here = {mark: f"{name}-{person}" for person, mark in dataset.marks().items()}
        both = sorted(here.keys() & seen.keys())
        if both:
            raise DataError(f"{here[both[0]]} and {seen[both[0]]} are the same person, expected different people")
        seen |= here

    def recordings() -> Iterator[Recording]:
        for name, dataset in datasets.items():
            for recording in dataset:
                yield replace(recording, person=f"{name}-{recording.person}")

    people = [dataset.people.assign(person=f"{name}-" + dataset.people["person"]) for name, dataset in datasets.items()]
    made_by = {"merged": [manifest.made_by for manifest in manifests.values()], "renamed": list(datasets)}
    first = next(iter(manifests.values()))
    return write_dataset(
        out,
        recordings(),
        pd.concat(people, ignore_index=True),
        made_by=made_by,
        truth=first.truth,
        reasons=first.reasons,
    )


def _check(folder: Path, manifest: Manifest, first_folder: Path, first: Manifest) -> None:
    for kept in ("truth", "reasons"):
        if getattr(manifest, kept) != getattr(first, kept):
            raise DataError(f"{folder}: {kept}={getattr(manifest, kept)}, unlike {first_folder}")
    if not manifest.people:
        raise DataError(f"{folder}: nobody in it")


def _made_by(manifests: Mapping[Path, Manifest]) -> dict[str, Any]:
    """Of the whole: what shards of one cohort share, or else everything that there is.

    Raises:
        DataError: If a shard of the cohort is missing or stands twice.
    """
    shards = {folder: str(manifest.made_by.get("shard", "")) for folder, manifest in manifests.items()}
    shared = [{k: v for k, v in manifest.made_by.items() if k != "shard"} for manifest in manifests.values()]
    counts = {shard.partition("/")[2] for shard in shards.values()}
    if any(made_by != shared[0] for made_by in shared) or len(counts) != 1 or counts == {""}:
        return {"merged": [manifest.made_by for manifest in manifests.values()]}
    count = int(counts.pop())
    for number in range(1, count + 1):
        found = sum(shard == f"{number}/{count}" for shard in shards.values())
        if found != 1:
            raise DataError(f"shard {number}/{count} stands {found} times among the folders, expected once")
    return shared[0] | {"shard": "1/1"}


def _check_people(people: Mapping[Path, pa.Table]) -> None:
    """Refuse folders with the same person or other columns."""
    schema = next(iter(people.values())).schema
    seen: dict[str, Path] = {}
    for folder, table in people.items():
        if not table.schema.equals(schema):
            raise DataError(f"{folder / PEOPLE}: other columns than the first folder's, expected {schema.names}")
        here = dict.fromkeys(table["person"].to_pylist(), folder)
        both = here.keys() & seen.keys()
        if both:
            raise DataError(
                f"{folder / PEOPLE}: {min(both)!r} is in {seen[min(both)]}, too; if they are different people, "
                "--rename puts the folders' names before the ids"
            )
        seen |= here


def _free_name(part: str, taken: Container[str]) -> str:
    """A part's own name, or the first one numbered after it that is free.

    >>> _free_name("vendor=a/part-7.parquet", {"vendor=a/part-7.parquet", "vendor=a/part-7-1.parquet"})
    'vendor=a/part-7-2.parquet'
    """
    stem = part.removesuffix(".parquet")
    names = itertools.chain([part], (f"{stem}-{number}.parquet" for number in itertools.count(1)))
    return next(name for name in names if name not in taken)


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except FileExistsError:  # another source's file by a second name: to copy over it would change the source
        raise
    except OSError:
        shutil.copy2(source, target)
