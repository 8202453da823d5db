"""Direct standardisation: people weighted so that their sex, age and BMI are those of a published cohort.

A norm from other people than the simulated mix is held against the simulated people reweighted to them (norms.md). What
is told of most cohorts is a mean or a share, so the weights are the ones nearest to equal that meet these means
(exponential tilting; Deming and Stephan 1940 for shares).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COHORTS: Final[Mapping[str, Mapping[str, float]]] = {
    "lifesnaps": {  # Yfantidou et al. 2022, doi:10.1038/s41597-022-01764-x: 42 men, 29 women, half below 30
        "female": 0.41,
        "age_years": 32.0,  # years; ages are given as below and above 30 only: judgement
    },
    "fitbit_us": {  # norms demo_quer_*
        "age_years": 45.8,  # years
        "bmi_kg_m2": 28.4,  # kg/m2
    },
    "nhanes_2011_14": {  # US adults at the 2010 census; BMI of adults in NHANES 2011-14
        "female": 0.52,
        "age_years": 47.0,  # years
        "bmi_kg_m2": 28.9,  # kg/m2
    },
    "all_of_us_fitbit": {  # Master et al. 2022, doi:10.1038/s41591-022-02012-w: 73 % women, median 56.7 years
        "female": 0.73,
        "age_years": 55.0,  # years; the mean of such quartiles (41.5 to 67.6): judgement
        "bmi_kg_m2": 28.9,  # kg/m2; the mean of norms demo_aou_bmi_*: judgement
    },
    "us_residents": {"female": 0.516},  # aged 15 and over, as the American Time Use Survey weights them: 2010 census
    "nhanes_reweighted_to_lsm": {"female": 0.673},  # Table 2a of LSM-1; its ages and BMI are the simulated mix
}
"""What is known of cohorts: share of women, mean age, mean BMI."""

_EDITIONS: Final = {"fitbit_us_2016": "fitbit_us", "fitbit": "fitbit_us"}  # other reports on the same people
OF_QUANTITY: Final[Mapping[str, str]] = dict.fromkeys(
    (
        "engaged_in_sport_or_exercise_on_average_day",
        "share_of_exercisers_on_a_day",
        "duration_on_days_with_exercise",
        "female_share_of_participants",
    ),
    "us_residents",
)
"""Quantities of a diary of a whole country -> the people they are of, where the stratum names none."""

LEAST_EFFECTIVE: Final = 0.1  # of people, below which weights rest on too few; judgement
_SCALES: Final = {"female": 1.0, "age_years": 10.0, "bmi_kg_m2": 5.0}
_STEPS: Final = 50


def cohort_weights(cohort: str, people: pd.DataFrame, keep: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """A weight a person, of mean 1 over those kept, with which they stand for a cohort.

    Args:
        cohort: One of ``COHORTS``; what the stratum fixes already (one sex, say) is not asked for.
        people: With the columns sex, age_years, bmi_kg_m2 as far as the cohort asks for them.
        keep: Whom a stratum picks; others have weight 1.

    Returns:
        None if the cohort is not known, a column is missing, or no weights bring these people there.
    """
    targets = COHORTS.get(_EDITIONS.get(cohort, cohort))
    if targets is None or not keep.any():
        return None
    columns = []
    for name in targets:
        column = "sex" if name == "female" else name
        if column not in people:
            return None
        facts = (people[column] == "female" if name == "female" else people[column]).to_numpy(dtype=np.float64)[keep]
        if facts.min() < facts.max():
            columns.append((facts - targets[name]) / _SCALES[name])
    found = tilted(np.column_stack(columns)) if columns else None
    if found is None:
        return None
    weights = np.ones(len(people))
    weights[keep] = found
    return weights


def tilted(away: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Weights of mean 1, exponential in the columns, under which each column has mean 0.

    Args:
        away: [n, k], how far each person is from each target.

    Returns:
        None if there are none, or if they rest on less than ``LEAST_EFFECTIVE`` of the people.
    """
    if not np.isfinite(away).all():
        return None
    slope = np.zeros(away.shape[1])
    weights = np.ones(len(away))
    for _ in range(_STEPS):
        power = away @ slope
        weights = np.exp(power - power.max())
        weights /= weights.mean()
        gradient = weights @ away / len(away)
        if np.abs(gradient).max() < 1e-9:
            break
        spread = (away * weights[:, None]).T @ away / len(away) - np.outer(gradient, gradient)
        step = np.linalg.lstsq(spread + 1e-9 * np.eye(len(slope)), -gradient)[0]
        slope += step * min(1.0, 1.0 / max(1e-9, float(np.abs(step).max())))
    effective = weights.sum() ** 2 / (weights @ weights) / len(weights)
    met = np.abs(weights @ away / len(away)).max() < 1e-3
    return weights if met and effective >= LEAST_EFFECTIVE else None
