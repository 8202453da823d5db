"""Days told without a sensor, a part of the day, or on a device never seen: what is removed is gone, and no more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from model.evaluation.ablation import PARTS, Classifier, Examples, ablate, classifiers, gather, summary, without
from model.evaluation.ablation_figure import draw_ablation
from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.realism.difficulty import window_features
from simulator.recording import DataError, Event
from simulator.signals import INDEX, N_SIGNALS, Sensor

PEOPLE, DAYS = 40, 3


def examples(told_by: str = "steps", part: str = "evening") -> Examples:
    """Days whose label stands in one signal's mean in one part of the day, and nowhere else."""
    rng = stream(0, "ablation")
    n = PEOPLE * DAYS
    label = np.where(rng.random(n) < 0.5, "some", "none")
    features = rng.normal(size=(n, 4, 4, N_SIGNALS)).astype(np.float32)
    features[:, list(PARTS).index(part), 0, INDEX[told_by]] += np.where(label == "some", 6, -6)
    person = np.repeat([f"p{i:02d}" for i in range(PEOPLE)], DAYS)
    vendor = np.repeat(["left", "right"], n // 2)
    return Examples(features, label, person, vendor)


class Careful:
    """Logistic regression that takes what is missing for nothing, and remembers whom it has seen."""

    seen: list[NDArray[np.float32]]

    def __init__(self) -> None:
        self.inner = LogisticRegression(C=0.05)

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.str_]) -> "Careful":
        self.inner.fit(np.nan_to_num(features), labels)
        return self

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.str_]:
        return np.asarray(self.inner.predict(np.nan_to_num(features)))


def test_what_tells_the_label_is_missed_and_nothing_else() -> None:
    rows = {row.removed: row for row in ablate(Careful, "careful", examples(), "exercise", seed=1)}
    assert rows["nothing"].accuracy > 0.95
    for removed in (*Sensor, *PARTS):
        if removed in ("ACC", "evening"):
            assert rows[removed].accuracy < 0.65
            interval = rows[removed].lost_interval
            assert interval is not None
            assert interval[0] > 0.2
        else:
            assert rows[removed].accuracy > 0.95
    assert rows["nothing"].lost == 0
    assert "ACC" in summary(list(rows.values()))


def test_removing_leaves_the_rest_as_it_was() -> None:
    features = examples().features
    night, heart = without(features, "night"), without(features, "PPG")
    assert np.isnan(night[:, 0]).all()
    np.testing.assert_array_equal(night[:, 1:], features[:, 1:])
    gone = np.asarray(np.isnan(heart).all(axis=(0, 1, 2)))
    assert gone[INDEX["heart_rate"]]
    assert not gone[INDEX["steps"]]
    assert (np.isnan(heart).any(axis=(0, 1, 2)) == gone).all()
    with pytest.raises(ValueError, match="removed='noon' is none of night"):
        without(features, "noon")


def test_everybody_is_asked_about_by_one_who_saw_other_people_and_never_that_device() -> None:
    data = examples()
    keys = {row.tobytes(): i for i, row in enumerate(data.features.reshape(len(data.label), -1))}
    fitted: list[set[int]] = []

    class Spy(Careful):
        def fit(self, features: NDArray[np.float32], labels: NDArray[np.str_]) -> "Spy":
            self.rows = {keys[row.tobytes()] for row in features}
            fitted.append(self.rows)
            super().fit(features, labels)
            return self

        def predict(self, features: NDArray[np.float32]) -> NDArray[np.str_]:
            asked = {keys[row.tobytes()] for row in features if row.tobytes() in keys}
            assert not {data.person[i] for i in asked} & {data.person[i] for i in self.rows}
            devices = {data.vendor[i] for i in self.rows}
            assert len(devices) == 2 or not {data.vendor[i] for i in asked} & devices
            return super().predict(features)

    rows = ablate(Spy, "spy", data, "exercise", seed=1)
    assert {row.removed for row in rows if row.kind == "device never seen"} == {"left", "right"}
    assert min(len({data.vendor[i] for i in some}) for some in fitted) == 1


def test_accuracy_is_scikit_learn_s() -> None:
    data = examples()

    class Guess:
        def fit(self, features: NDArray[np.float32], labels: NDArray[np.str_]) -> None:
            pass

        def predict(self, features: NDArray[np.float32]) -> NDArray[np.str_]:
            return np.where(features[:, 0] > 0, "some", "none")

    row = ablate(Guess, "guess", data, "exercise", seed=1)[0]
    guess = np.where(data.features[:, 0, 0, 0] > 0, "some", "none")
    assert row.accuracy == pytest.approx(balanced_accuracy_score(data.label, guess))
    assert row.interval is not None
    assert row.interval[0] < row.accuracy < row.interval[1]


def test_days_are_gathered_with_their_labels_and_the_judge_s_features() -> None:
    cohort = Cohort(population=POPULATIONS["lsm2"], people=8, days=2, seed=3)
    recordings = list(cohort)
    people = pd.DataFrame({"person": sorted({r.person for r in recordings})})
    people["sex"] = ["female", "male"] * (len(people) // 2) + ["female"] * (len(people) % 2)
    found = gather(recordings, people, "sex")
    sexes = dict(zip(people["person"], people["sex"], strict=True))
    assert found.label.tolist() == [sexes[r.person] for r in recordings]
    afternoon = window_features(recordings[0].values[:, 720:1080], recordings[0].observed[:, 720:1080])
    np.testing.assert_array_equal(found.features[0, 2].ravel(), afternoon)
    walk = Event("activity", "walking", 600, 640)
    active = [replace(r, events=(walk,) if i % 2 else ()) for i, r in enumerate(recordings)]
    assert gather(active, people, "exercise").label.tolist() == ["none", "some"] * (len(active) // 2) + ["none"] * (
        len(active) % 2
    )
    with pytest.raises(DataError, match="no column 'sex'"):
        gather(recordings, people[["person"]], "sex")
    with pytest.raises(DataError, match="of one class at most"):
        gather([replace(r, events=()) for r in recordings], people, "exercise")
    with pytest.raises(ValueError, match="task='age' is none of sex, exercise"):
        gather(recordings, people, "age")


@pytest.mark.parametrize("name", classifiers(0))
def test_the_two_classifiers_take_gaps(name: str) -> None:
    data = examples()
    data.features[:, :, 0, INDEX["steps"]] = data.features[:, [3], 0, INDEX["steps"]]  # all day long
    data.features[stream(1).random(data.features.shape) < 0.05] = np.nan
    data.features[..., INDEX["scl"]] = np.nan
    made: Classifier = classifiers(0)[name]()
    made.fit(data.features[:60].reshape(60, -1), data.label[:60])
    guess = made.predict(data.features[60:].reshape(60, -1))
    assert (guess == data.label[60:]).mean() > 0.7


def test_the_picture_shows_every_row_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row
        for name, task, told_by in (("one", "sex", "steps"), ("one", "exercise", "scl"), ("other", "sex", "steps"))
        for row in ablate(Careful, name, examples(told_by), task, seed=1)
    ]
    drawn: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: Any, **more: Any) -> None:
        drawn.append(figure)
        save(figure, *args, **more)

    monkeypatch.setattr(Figure, "savefig", keep)
    draw_ablation(rows, tmp_path / "ablation.png")
    content = (tmp_path / "ablation.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 300_000
    names = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert names[-2:] == ["never saw left", "never saw right"]
    for axes, task in zip(drawn[0].axes, ("sex", "exercise"), strict=True):
        marks = [line for line in axes.lines if line.get_marker() not in ("None", None)]
        found = {(round(x, 9), round(y)) for m in marks for x, y in np.array(m.get_data(), dtype=float).T.tolist()}
        removed = [*Sensor, *PARTS, "left", "right"]
        assert found == {
            (round(row.lost, 9), removed.index(row.removed))
            for row in rows
            if row.task == task and row.removed != "nothing"
        }
        assert axes.get_title(loc="left").startswith(task)


def test_too_few_people_are_refused() -> None:
    data, few = examples(), slice(0, 3 * DAYS)
    small = Examples(data.features[few], data.label[few], data.person[few], data.vendor[few])
    with pytest.raises(DataError, match="3 people, expected 5"):
        ablate(Careful, "careful", small, "exercise", 0)
    rare = np.where(data.person == data.person[0], "none", "some")
    with pytest.raises(DataError, match="task exercise: 40 people, of whom four fifths have days of 'some' alone"):
        ablate(Careful, "careful", replace(data, label=rare), "exercise", 0)
