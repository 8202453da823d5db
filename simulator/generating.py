"""Generating: a cohort becomes a dataset folder, block by block, by any number of processes, going on after any end.

The people are cut into blocks by a rule that knows nothing but how many people and days there are. Whoever makes a
block (this process, a worker, another machine) writes the same bytes: one part file a vendor, named after the block's
first person. So one mechanism serves workers, shards, engines and going on:

    .NAME.partial/recordings/ truth/ reasons/   parts, as they will lie in the dataset
    .NAME.partial/blocks/asked.json             what is being made; blocks of anything else are swept away
    .NAME.partial/blocks/0000032.json           the block of person 32 is finished; its people and events lie beside

A block without its ``.json`` is made again, one with it never. At the end people and events are joined, the blocks'
contents added up, and the folder gets its name. Memory is that of one block of people, however many there are.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Protocol, TypeVar

import pyarrow.parquet as pq
from pydantic import TypeAdapter

from simulator.cohort import Cohort
from simulator.content import Content
from simulator.dataset_layout import EVENT_SCHEMA, EVENTS, MANIFEST, PEOPLE, VERSION, Manifest, digest, people_content
from simulator.dataset_writing import (
    EVENTS_PER_GROUP,
    PEOPLE_PER_GROUP,
    RecordingWriter,
    Summary,
    growing,
    join_tables,
    people_rows,
    summary_of,
    sweep,
    sync_files,
    write_manifest,
)
from simulator.files import read_json, write_json
from simulator.recording import DataError

LEAST_PERSON_DAYS: Final = 128  # of a block: a second; opening and closing one costs as much as writing ten days
MOST_PERSON_DAYS: Final = 2048  # of a block: what an interrupt can cost a worker, a dozen seconds; 500 MB of parts
BLOCKS: Final = 64  # aimed at in between, to keep many workers busy to the end
_BLOCKS: Final = "blocks"
_ASKED: Final = "asked.json"
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class Engine(Protocol):
    """Something that does many tasks at once."""

    def run(self, work: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> Generator[_Result]:
        """Results as they come, in any order; a task whose worker was lost is done again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some people of a cohort, to be written into a growing folder.

    Attributes:
        cohort: These people.
        partial: The folder.
        truth: Whether the truth is kept.
        reasons: Whether the reasons of gaps are kept.
    """

    cohort: Cohort
    partial: Path
    truth: bool
    reasons: bool

    @property
    def name(self) -> str:
        """Index of the first person, as in identifiers."""
        return f"{self.cohort.first_person:07d}"

    @property
    def people(self) -> Path:
        """The file of its rows of ``people.parquet``."""
        return self.partial / _BLOCKS / f"{self.name}.people.parquet"

    @property
    def events(self) -> Path:
        """The file of its rows of ``events.parquet``."""
        return self.partial / _BLOCKS / f"{self.name}.events.parquet"

    @property
    def marker(self) -> Path:
        """The file that is there if and only if everything else of it has reached the disk."""
        return self.partial / _BLOCKS / f"{self.name}.json"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.marker.exists()

    def outcome(self) -> "Outcome":
        """What is in it, once it is finished."""
        return read_json(self.marker, _OUTCOME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished block.

    Attributes:
        people: People in it.
        person_days: Recordings of them.
        parts: Part files, as in ``Manifest``.
        content: ``Content.text`` of people and recordings.
    """

    people: int
    person_days: int
    parts: tuple[str, ...]
    content: str


_OUTCOME: Final = TypeAdapter(Outcome)
_MANIFEST: Final = TypeAdapter(Manifest)
_COHORT: Final = TypeAdapter(Cohort)


def cut(people: int, days: int, shard: int = 1, shards: int = 1) -> list[range]:
    """The blocks of a shard, as places in the cohort.

    Shards end where blocks end, so that their part files are the whole's; only where there are more shards than
    blocks are people shared out evenly instead, and the same content then lies in smaller files.

    Args:
        people: Of the whole cohort.
        days: Of each.
        shard: Which, counted from 1.
        shards: Of how many.

    Raises:
        ValueError: If there is no such shard, or it would be empty.

    >>> [len(block) for block in cut(1000, 14)][:3], cut(10, 100, 2, 2)
    ([15, 15, 15], [range(4, 6), range(6, 8), range(8, 10)])
    """
    if not 1 <= shard <= shards <= people:
        raise ValueError(f"{shard=} of {shards=}: expected 1 <= shard <= shards <= {people} people")
    least, most = -(-LEAST_PERSON_DAYS // days), max(1, MOST_PERSON_DAYS // days)
    each = max(1, least, min(people // BLOCKS, most))
    blocks = [range(first, min(first + each, people)) for first in range(0, people, each)]
    if shards <= len(blocks):
        return blocks[len(blocks) * (shard - 1) // shards : len(blocks) * shard // shards]
    return [range(people * (shard - 1) // shards, people * shard // shards)]


def simulate(
    cohort: Cohort,
    folder: Path,
    *,
    shard: int = 1,
    shards: int = 1,
    engine: Engine | None = None,
    truth: bool = True,
    reasons: bool = True,
    noted: Mapping[str, object] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Write a cohort, or a shard of it, as a dataset folder; going on where an earlier call was interrupted.

    Args:
        cohort: All people, whatever the shard.
        folder: Where to; must not exist, or be empty.
        shard: Which shard, counted from 1.
        shards: Of how many.
        engine: Who makes the blocks; None: this process, one by one.
        truth: Keep the truth under the gaps, if the cohort has it.
        reasons: Keep the reason of every gap.
        noted: What ``dataset.json`` says of its making beside cohort and shard; must survive JSON.
        progress: Called with the number of person-days written so far.

    Raises:
        DataError: If the target is in use, or the population leaves out every day of everybody.
        ValueError: If there is no such shard.
    """
    folder, truth = Path(folder), truth and cohort.with_truth
    places = cut(cohort.people, cohort.days, shard, shards)
    made_by = {**_COHORT.dump_python(cohort, mode="json"), "shard": f"{shard}/{shards}", **(noted or {})}
    with growing(folder, keep=True) as partial:
        blocks = [Block(cohort=_some(cohort, at), partial=partial, truth=truth, reasons=reasons) for at in places]
        if not _is_whole(partial, made_by, truth=truth, reasons=reasons):
            _claim(partial, made_by | {"truth": truth, "reasons": reasons, "version": VERSION}, blocks[0])
            _make(blocks, engine, progress)
            _assemble(partial, blocks, made_by)
        shutil.rmtree(partial / _BLOCKS, ignore_errors=True)
        manifest = read_json(partial / MANIFEST, _MANIFEST)
    return summary_of(folder, manifest)


def write_block(block: Block, progress: Callable[[int], None] | None = None) -> int:
    """Make a block unless it is finished; its number of person-days."""
    if not block.finished:
        people = people_rows(block.cohort.people_table())
        with RecordingWriter(
            block.partial,
            block.events,
            people["person"].to_pylist(),
            truth=block.truth,
            reasons=block.reasons,
            part_name=lambda _: f"part-{block.name}",
            rows_per_part=None,
        ) as writer:
            for recording in block.cohort:
                writer.add(recording)
                if progress is not None:
                    progress(writer.person_days)
        pq.write_table(people, block.people, compression="zstd")
        writer.content.join(people_content(people))
        files = [path for part in writer.parts for path in block.partial.glob(f"*/{part}")]
        sync_files([*files, block.people, block.events])
        outcome = Outcome(
            people=len(people),
            person_days=writer.person_days,
            parts=tuple(writer.parts),
            content=writer.content.text,
        )
        write_json(block.marker, asdict(outcome))
    return block.outcome().person_days


def _some(cohort: Cohort, places: range) -> Cohort:
    """The people at these places of a cohort."""
    return replace(cohort, first_person=cohort.first_person + places.start, people=len(places))


def _is_whole(partial: Path, made_by: Mapping[str, object], *, truth: bool, reasons: bool) -> bool:
    """Whether all that is missing is the folder's name."""
    if not (partial / MANIFEST).exists():
        return False
    found = read_json(partial / MANIFEST, _MANIFEST)
    return (found.version, found.made_by, found.truth, found.reasons) == (VERSION, made_by, truth, reasons)


def _claim(partial: Path, asked: Mapping[str, object], first: Block) -> None:
    """Keep the blocks that are there if they are of what is asked for now, and by the same simulator; or sweep.

    The simulator is known by its first person-day, which costs milliseconds and changes with almost everything.
    """
    day = digest(first.cohort[0, 0], truth=first.truth, reasons=True)
    asked = {**asked, "first_day_sha256": day.hex()}
    path = partial / _BLOCKS / _ASKED
    if _asked_before(path) != asked:
        sweep(partial)
        write_json(path, asked)


def _asked_before(path: Path) -> object:
    """What the blocks that are there were asked for; None if there is nothing, or nothing that can be read."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _make(blocks: Sequence[Block], engine: Engine | None, progress: Callable[[int], None] | None) -> None:
    """Make the blocks that are not finished."""
    done = sum(block.outcome().person_days for block in blocks if block.finished)
    waiting = [block for block in blocks if not block.finished]

    def tell(more: int) -> None:
        if progress is not None:
            progress(done + more)

    tell(0)
    if engine is None:
        for block in waiting:
            done += write_block(block, tell)
    else:
        with contextlib.closing(engine.run(write_block, waiting)) as results:
            for person_days in results:
                done += person_days
                tell(0)


def _assemble(partial: Path, blocks: Sequence[Block], made_by: Mapping[str, object]) -> None:
    """Join what the blocks have of people and events, and say what the folder holds."""
    for lost in partial.rglob(".*"):
        lost.unlink()  # of a worker that was killed
    outcomes = [block.outcome() for block in blocks]
    person_days = sum(outcome.person_days for outcome in outcomes)
    if not person_days:
        raise DataError(f"{partial}: no recordings to write, expected at least one")
    schema = pq.read_schema(blocks[0].people)
    join_tables([block.people for block in blocks], partial / PEOPLE, schema, PEOPLE_PER_GROUP)
    join_tables([block.events for block in blocks], partial / EVENTS, EVENT_SCHEMA, EVENTS_PER_GROUP)
    content = Content()
    for outcome in outcomes:
        content.join(Content.from_text(outcome.content))
    sync_files([partial / PEOPLE, partial / EVENTS])
    write_manifest(
        partial,
        people=sum(outcome.people for outcome in outcomes),
        person_days=person_days,
        content=content,
        truth=blocks[0].truth,
        reasons=blocks[0].reasons,
        parts=(part for outcome in outcomes for part in outcome.parts),
        made_by=made_by,
    )
