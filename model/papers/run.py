"""The run: pieces of work on several processes, each when what it needs is done, and skipped when its record is there.

    people -> windows -> models, labelled windows -> scores

Records are kept by whoever calls (``Book``): a room below may not know how a run is written down.
"""

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from typing import Any, Protocol

import torch

from model.papers.bench import Bench
from model.papers.pieces import Piece, do, seconds
from simulator.recording import DataError


class Book(Protocol):
    """Where finished work is written down; ``federated.study.records.Records`` is one."""

    def has(self, kind: str, key: str) -> bool:
        """Whether this piece of work is recorded."""

    def add(self, kind: str, key: str, content: Mapping[str, Any], seconds: float) -> None:
        """Record a finished piece of work."""


Watch = Callable[[float, float, str], object]
"""Told the estimated CPU seconds of what is done and of everything, and what was done last."""


def run(bench: Bench, work: Sequence[Piece], book: Book, workers: int, watch: Watch, minutes: float = math.inf) -> None:
    """Do what is not recorded yet.

    Args:
        bench: Plan, seed and folder.
        work: As ``pieces_of`` gives it.
        book: What is done, and where it is written down.
        workers: Processes; 1 works in this one.
        watch: Told after every piece.
        minutes: After so many no piece is begun; those that are begun are finished.

    Raises:
        DataError: If a worker was lost, as for want of memory.
    """
    left = [piece for piece in work if not book.has(piece.kind, piece.key)]
    total = seconds(work)
    done = total - seconds(left)
    watch(done, total, "")
    until = time.monotonic() + 60 * minutes
    for piece, content, wall in (_here if workers == 1 else _there)(left, bench, workers, until):
        book.add(piece.kind, piece.key, content, wall)
        done += piece.cost
        watch(done, total, piece.name)


Finished = tuple[Piece, dict[str, Any], float]


def _here(left: Sequence[Piece], bench: Bench, workers: int, until: float) -> Iterator[Finished]:
    """One after the other; what a piece needs stands before it."""
    for piece in left:
        if time.monotonic() >= until:
            return
        yield piece, *_timed(piece, bench)


def _there(left: Sequence[Piece], bench: Bench, workers: int, until: float) -> Iterator[Finished]:
    """On several processes; whoever is free takes the first piece that need not wait."""
    waiting = list(left)
    running: dict[Future[tuple[dict[str, Any], float]], Piece] = {}
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_alone) as pool:
        try:
            while waiting or running:
                if time.monotonic() >= until:
                    waiting.clear()
                undone = {piece.name for piece in (*waiting, *running.values())}
                for piece in [p for p in waiting if not undone.intersection(p.needs)][: workers - len(running)]:
                    running[pool.submit(_timed, piece, bench)] = piece
                    waiting.remove(piece)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), *future.result()
        except BrokenExecutor as lost:
            raise DataError(f"a worker was lost ({lost}); the same command goes on where it stopped") from lost
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _timed(piece: Piece, bench: Bench) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    content = do(piece, bench)
    return content, time.monotonic() - began


def _alone() -> None:
    """One thread a process: small products gain nothing from two."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
