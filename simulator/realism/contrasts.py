"""Differences and ratios: of one group of people with another, or of each person with themselves."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.realism.norms import group
from simulator.realism.question import Question
from simulator.realism.statistics import (
    NotComputableError,
    Rows,
    Sample,
    adjusted_difference,
    mean,
    reducer,
    sample,
    standardised_difference,
)

OTHERS: Final = frozenset(
    {"none", "control", "others"}
)  # what norms call everybody who is not of the group named first


def between_people(asked: Question, means: Sample, left: str, right: str, operator: str) -> Rows:
    """One group of people less another, or over it.

    Args:
        asked: Gives statistic, covariates and resamples.
        means: One value a person.
        left: A group (``norms.group``).
        right: Another, or one of ``OTHERS`` for everybody else.
        operator: "-" or "/".

    Raises:
        NotComputableError: If the dataset does not know who belongs to them, or has too few of either.
    """
    one, counts = group(left, asked.seen), asked.counts
    other = ~one if right in OTHERS else group(right, asked.seen)
    a, b = asked.enough(means.of_people(one)), asked.enough(means.of_people(other))
    if "adjusted" in asked.keys:
        covariates = _covariates(asked)
        both = means.of_people((one | other) & np.isfinite(covariates).all(axis=1))
        found = adjusted_difference(both, one, covariates, counts)
        if operator == "/":  # the ratio at the others' mean level
            level = mean(b, counts)
            return (level + found) / level
        return found
    if asked.norm.statistic in ("hedges_g", "cohens_d"):
        return standardised_difference(a, b, counts)
    middle = reducer("median" if asked.norm.statistic.startswith("median") else "mean")
    if operator == "/":
        return middle(a, counts) / middle(b, counts)
    return middle(a, counts) - middle(b, counts)


def _covariates(asked: Question) -> NDArray[np.float64]:
    columns = {"age": "age_years", "bmi": "bmi_kg_m2"}
    table = []
    for name in asked.keys.pop("adjusted").split(","):
        column = columns.get(name, name)
        if column not in asked.seen.people:
            raise NotComputableError(f"people.parquet has no column {column!r}")
        facts = asked.seen.people[column]
        table.append(facts == "male" if name == "sex" else facts)
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in table])


def within_people(asked: Question, a: Sample, b: Sample, operator: str) -> Rows:
    """Mean or median over people of each one's difference or ratio."""
    people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
    own = a.values[i] / b.values[j] if operator == "/" else a.values[i] - b.values[j]
    middle = "median" if asked.norm.statistic.startswith("median") else "mean"
    return reducer(middle)(asked.enough(sample(own, people)), asked.counts)
