"""The table of ``docs/rules.md``: every rule, what its check measured, and every fault planted against it.

``python -m tests.rules_table --run runs/tiny`` writes it, from a run of ``everywear federate tiny --out runs/tiny``;
``tests/test_rules_table.py`` holds the file to the code.
"""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from tests import test_rules, test_rules_of_rounds
from tests.outcomes import Check, Plant, measured, went_red

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"
HEAD = """# The twenty rules, and what happens when they are broken

Each rule is a test that exercises the code that runs; each fault is planted in that code for the length of one test,
and the rule's test has to fail. The rules are those of the project's list (R1 to R20). Figures of faults are what the
failing test says: its message, or the line that failed. Written by `python -m tests.rules_table`; a test holds this
page to what the code gives.

"""


def plant_nothing(patch: pytest.MonkeyPatch) -> None:
    """For faults that are a config of their own."""
    del patch


def checks(whole: Path) -> dict[str, tuple[Check, str]]:
    """By rule, its check and the sentence that it asserts."""
    found: dict[str, tuple[Check, str]] = {}
    for name, check in vars(test_rules).items():
        if name.startswith("check_r"):
            found[name.removeprefix("check_")] = check, _sentence(check)
    for rule, needs_run in test_rules_of_rounds.CHECKS.items():
        found[rule] = partial(needs_run, whole), _sentence(needs_run)
    return dict(sorted(found.items()))


def mutants(whole: Path) -> dict[str, tuple[Check, Plant]]:
    """By name, the check that has to see a fault, and how it is planted."""
    found: dict[str, tuple[Check, Plant]] = dict(test_rules.MUTANTS)
    for name, config in {
        "r09 a plan that can be changed": test_rules.Mutable,
        "r09 a plan that carries people": test_rules.WithData,
    }.items():
        found[name] = partial(test_rules.check_r09, config), plant_nothing
    for name, plant in test_rules_of_rounds.MUTANTS.items():
        found[name] = partial(test_rules_of_rounds.CHECKS[name.split()[0]], whole), plant
    return found


def page(whole: Path, progress: Callable[[str], None] = lambda _: None) -> str:
    """The whole page, from running every check and every mutant that was not run yet.

    Args:
        whole: A finished run of the tiny preset.
        progress: Told what comes next.
    """
    planted = mutants(whole)
    lines, rules_red, caught = ["| rule | says | fault | caught | figure |", "|---|---|---|---|---|"], 0, 0
    for rule, (check, sentence) in checks(whole).items():
        progress(rule)
        number = f"R{int(rule[1:])}"
        lines.append(f"| **{number}** | {_cell(sentence)} | none | | {_cell(measured(rule, check))} |")
        reds = []
        for name, (of_rule, plant) in planted.items():
            if name.split()[0] == rule:
                red = went_red(name, of_rule, plant)
                reds.append(red is not None)
                shown = f"`{_cell(red)}`" if red else ""
                lines.append(f"| {number} | | {name[4:]} | {'yes' if red is not None else 'NO'} | {shown} |")
        rules_red += bool(reds) and all(reds)
        caught += sum(reds)
    said = f"**{rules_red} of {len(checks(whole))} rules** have faults planted against them that are all caught"
    return f"{HEAD}{said}: {caught} of {len(planted)}.\n\n" + "\n".join(lines) + "\n"


def without_numbers(text: str) -> str:
    """A page with its figures' numbers masked, since noise is new each time."""
    return re.sub(r"-?\d[\d.,]*(e[+-]?\d+)?", "#", text)


def _sentence(check: Callable[..., str]) -> str:
    return " ".join((check.__doc__ or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a finished run of the tiny preset")
    torch.set_num_threads(1)
    PAGE.write_text(page(parser.parse_args().run, progress=lambda rule: print(rule, flush=True)))


if __name__ == "__main__":
    main()
