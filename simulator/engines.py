"""Engines: many tasks at once, on this machine's processes or on Ray, each task done again if its worker is lost.

An engine knows nothing of people: ``run(work, tasks)`` gives ``work(task)`` for each, as they come. Tasks must be
repeatable, and remember for themselves what is finished.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

TRIES: Final = 4  # times that a task is begun, when its workers are lost; then something is wrong with it
_AHEAD: Final = 2  # tasks handed out per worker, so that none waits


class WorkerLostError(RuntimeError):
    """Workers were killed again and again; most often there is too little memory."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine, started afresh (spawned), which end with the iteration or with this process.

    As with every spawned process, a script that uses them guards its entry with ``if __name__ == "__main__"``.

    Attributes:
        workers: How many.
    """

    workers: int

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers={self.workers} is below 1")

    def run(self, work: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> Generator[_Result]:
        """Results as they come, in any order.

        Raises:
            WorkerLostError: If workers were killed ``TRIES`` times in a row without a result in between.
        """
        waiting, losses = list(tasks), 0
        while waiting:
            left: list[_Task] = []
            for result in _until_lost(self.workers, work, waiting, left):
                losses = 0
                yield result
            waiting, losses = left, losses + 1
            if waiting and losses >= TRIES:
                raise WorkerLostError(f"workers were killed {losses} times in a row; {len(waiting)} tasks are left")


def _until_lost(
    workers: int, work: Callable[[_Task], _Result], tasks: Sequence[_Task], left: list[_Task]
) -> Generator[_Result]:
    """Results until a worker is lost; tasks without one are put into ``left``."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=live_and_die_with_parent)
    coming = iter(tasks)
    running: dict[Future[_Result], _Task] = {}
    try:
        while True:
            for task in islice(coming, workers * _AHEAD - len(running)):
                running[pool.submit(work, task)] = task
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                del running[future]
                yield result
    except BrokenProcessPool:
        left += [*running.values(), *coming]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def live_and_die_with_parent() -> None:
    """Make a worker leave interrupts to its parent, and end when the parent is gone.

    A pool's workers wait for work through a pipe of which they hold both ends, so a killed parent would leave them
    waiting for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True, slots=True)
class Ray:
    """Workers of Ray [1]: of the cluster at ``address``, or of this machine alone, reachable from nowhere else.

    Every machine of a cluster needs this package and, for files, a folder that all of them share. Ray begins a task
    again when its worker or machine is lost. Nothing is reported to anybody; Ray on this machine keeps its files in a
    folder that is removed at the end.

    [1] Moritz et al., "Ray: a distributed framework for emerging AI applications", OSDI 2018, arXiv:1712.05889.

    Attributes:
        workers: Tasks at a time; None: as many as there are cores.
        address: Of a running cluster, "host:port" or "auto"; None: this machine.
    """

    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers={self.workers} is below 1")

    def run(self, work: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> Generator[_Result]:
        """Results as they come, in any order.

        Raises:
            WorkerLostError: If the workers of one task were lost ``TRIES`` times.
            ConnectionError: If no cluster answers at ``address``.
        """
        if self.address is not None:
            _check_listening(self.address)
        os.environ.update(_QUIET)
        if self.address is None:
            os.environ.setdefault(*_LOOPBACK)
        import ray

        with self._started():
            at_once = self.workers or int(ray.cluster_resources().get("CPU", 1))
            remote = ray.remote(num_cpus=1, max_retries=TRIES - 1)(work)
            coming = iter(tasks)
            running = [remote.remote(task) for task in islice(coming, at_once * _AHEAD)]
            while running:
                done, running = ray.wait(running, num_returns=1)
                running += [remote.remote(task) for task in islice(coming, 1)]
                try:
                    result = ray.get(done[0])
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:
                    raise WorkerLostError(f"Ray lost the workers of a task {TRIES} times: {error}") from error
                yield result

    @contextlib.contextmanager
    def _started(self) -> Generator[None]:
        """Ray, connected or started, and ended with nothing left behind."""
        import ray

        if self.address is not None:
            ray.init(address=self.address, log_to_driver=False, configure_logging=False)
            try:
                yield
            finally:
                ray.shutdown()
            return
        folder = _temporary_folder()
        try:
            ray.init(
                address="local",
                num_cpus=self.workers or len(os.sched_getaffinity(0)),
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=folder,
            )
            yield
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def _check_listening(address: str) -> None:
    """Refuse an address where nobody listens at once; Ray itself would go on asking for minutes.

    Raises:
        ConnectionError: If nobody does, or it is no address.
    """
    if address == "auto":
        return  # Ray knows where to look
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ConnectionError(f"Ray address {address!r} is neither host:port nor auto")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"no Ray cluster answers at {address} ({error}); expected host:port of one") from error


_PATIENCE_SECONDS: Final = 10.0  # for a connection; a cluster's machines are near
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # tells of a change to come
}
_LOOPBACK: Final = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
"""The word by which Ray, on Linux too, listens on loopback alone; read when Ray is first imported."""
_OBJECT_STORE_BYTES: Final = 80 * 2**20  # bytes: the least that Ray takes; tasks and results are small


def _temporary_folder() -> str:
    """A folder for a local Ray, with a short path; those of processes that were killed are removed."""
    usual = tempfile.gettempdir()
    root = Path(usual if len(usual) <= _ROOT_CHARACTERS else "/tmp")
    for old in root.glob(f"{_PREFIX}*-*"):
        pid = old.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root)


_PREFIX: Final = "ew-ray-"
_ROOT_CHARACTERS: Final = 24  # a socket's path, which Ray makes 83 longer, may have 107 bytes
