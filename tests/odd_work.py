"""Work for workers that get lost; a file of its own, as workers read the file that their work is in."""

import os
from pathlib import Path


def die_once(task: tuple[str, int]) -> int:
    """The task's number; an odd one kills its worker the first time, and leaves a file in the task's folder."""
    flag = Path(task[0]) / str(task[1])
    if task[1] % 2 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), 9)
    return task[1]


def die(task: int) -> int:
    """Never."""
    os.kill(os.getpid(), 9)
    return task
