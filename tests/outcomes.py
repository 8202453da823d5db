"""What rules measured and which mutants went red, kept for the table that a later test holds to the code."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

Check = Callable[[], str]
Plant = Callable[[pytest.MonkeyPatch], None]

FIGURES: dict[str, str] = {}
RED: dict[str, str | None] = {}


def measured(rule: str, check: Check) -> str:
    """What a rule's check measures on the sound code; it raises if the rule is broken."""
    if rule not in FIGURES:
        FIGURES[rule] = check()
    return FIGURES[rule]


def went_red(mutant: str, check: Check, plant: Plant) -> str | None:
    """What a check says with a fault planted, or None if it sees nothing."""
    if mutant not in RED:
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            RED[mutant] = _says(check)
    return RED[mutant]


def _says(check: Check) -> str | None:
    """The message of the assertion that failed, or the line it stands in."""
    try:
        check()
    except AssertionError as error:
        message = str(error).partition("\n")[0]
        if message and not message.startswith("assert"):
            return message
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.line or "" for frame in frames if Path(frame.filename).name.startswith("test_rules")]
        return " ".join(lines[-1].split())
    return None
