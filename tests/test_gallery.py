"""The gallery draws people's weeks: a small readable picture in which what differs in the data differs too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simulator.cohort import Cohort
from simulator.gallery import DAYS, MOST_PEOPLE, draw_weeks, tint
from simulator.population import POPULATIONS
from simulator.recording import DataError, Reason, Recording


def week(people: int, days: int) -> list[Recording]:
    return list(Cohort(population=POPULATIONS["lsm1"], people=people, days=days, seed=7))


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def test_five_weeks_make_one_small_picture(tmp_path: Path) -> None:
    few = week(2, 3)
    many = [replace(few[i % 6], person=f"p{i // 9:02d}", day=i % 9) for i in range(12 * 9)]
    path = draw_weeks(many, tmp_path / "new" / "weeks.png", {"p00": "a woman of 43"})
    assert path.stat().st_size < 300_000
    height, width, _ = pixels(path).shape
    assert width > 1000
    assert 180 * MOST_PEOPLE < height < 340 * MOST_PEOPLE  # nobody beyond the fifth


def test_a_picture_shows_what_the_data_hold(tmp_path: Path) -> None:
    days = week(1, 2)
    whole = pixels(draw_weeks(days, tmp_path / "a.png"))
    again = pixels(draw_weeks(reversed(days), tmp_path / "b.png"))
    np.testing.assert_array_equal(whole, again)  # the order of recordings is nothing to it
    faster = [replace(day, values=day.values * np.float32(1.2)) for day in days]
    assert (pixels(draw_weeks(faster, tmp_path / "c.png")) != whole).any()
    none = np.zeros_like(days[0].observed)
    off = [replace(day, observed=none, reason=np.full_like(day.reason, Reason.OFF_WRIST)) for day in days]
    empty = pixels(draw_weeks(off, tmp_path / "d.png"))
    shaded = (np.abs(empty / 255 - tint(Reason.OFF_WRIST)).max(axis=2) < 0.025).mean()
    assert 0.4 * 2 / DAYS < shaded < 2 / DAYS  # two days of seven, apart from margins and bars
    saving = [replace(day, observed=none, reason=np.full_like(day.reason, Reason.POWER_SAVING)) for day in days]
    dark = (pixels(draw_weeks(saving, tmp_path / "e.png")) < 90).all(axis=2).mean()
    assert dark > (empty < 90).all(axis=2).mean() + 0.01  # the lines of its hatch


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recording"):
        draw_weeks([], tmp_path / "none.png")
