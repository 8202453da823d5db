"""Clusters and maps find what is planted in embeddings and nothing where nothing is; counts are a slow loop's."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import everywear
from model.autoencoder import MaskedAutoencoder
from model.evaluation import discriminative
from model.evaluation.discriminative import _confusion, _embedded
from model.evaluation.discriminative_figures import draw_confusion, draw_maps
from model.evaluation.embeddings import Embedded, clusters, standardised, table, tsne
from model.evaluation.labels import TASKS, examples
from model.evaluation.probes import keep_means, mean_embeddings
from model.windows import Normaliser
from simulator.dataset import Dataset
from simulator.randomness import stream
from simulator.recording import DataError
from tests.strategies import seeds
from tests.test_discriminative import SHAPE, pool_of

Said = pytest.CaptureFixture[str]


def blobs(n: int, k: int, apart: float, seed: int = 0) -> Embedded:
    """Windows of ``k`` labels in heaps so far apart, with people who have nothing to do with them."""
    rng = stream(seed, "blobs")
    label = rng.integers(0, k, n)
    centres = apart * stream(seed, "centres").normal(size=(k, 8))
    vectors = (centres[label] + rng.normal(size=(n, 8))).astype(np.float32)
    return Embedded(
        "activity", vectors, {"label": label.astype(np.str_), "person": rng.integers(0, 12, n).astype(np.str_)}
    )


def test_planted_heaps_are_found_and_strangers_to_them_are_not() -> None:
    found = blobs(300, 4, apart=10.0)
    by_label, by_person = (clusters(found, by, seed=1) for by in ("label", "person"))
    assert by_label.ari == by_label.nmi == pytest.approx(1)
    assert by_label.calinski_harabasz == pytest.approx(by_label.calinski_harabasz_of_labels)
    assert (by_label.clusters, by_person.clusters, by_label.n) == (4, 12, 300)
    assert abs(by_person.ari) < 0.03
    assert by_person.calinski_harabasz_of_labels < 2 < by_person.calinski_harabasz
    assert clusters(found, "label", seed=1) == by_label
    assert "activity, by person" in table([by_label, by_person])


def test_scale_of_a_dimension_and_windows_without_a_label_change_nothing() -> None:
    found = blobs(120, 3, apart=4.0)
    scaled = Embedded("activity", found.vectors * np.array([1e3, 1, 1, 1, 1e-2, 1, 1, 1], np.float32), found.labels)
    assert clusters(scaled, "label", 0).ari == clusters(found, "label", 0).ari
    more = np.concatenate([found.vectors, np.full((5, 8), 99, np.float32)])
    labels = {"label": np.concatenate([found.labels["label"], np.full(5, "")])}
    assert clusters(Embedded("activity", more, labels), "label", 0) == clusters(found, "label", 0)
    still = np.concatenate([found.vectors, np.full((120, 1), 3, np.float32)], axis=1)
    assert (standardised(still)[:, 8] == 0).all()


def test_a_map_keeps_heaps_apart() -> None:
    found = blobs(150, 3, apart=10.0)
    rows, place = tsne(found, 0)
    label = found.labels["label"][rows]
    middles = np.stack([place[label == one].mean(axis=0) for one in np.unique(label)])
    nearest = np.linalg.norm(place[:, None] - middles, axis=2).argmin(axis=1)
    assert (np.unique(label)[nearest] == label).mean() > 0.98


@pytest.mark.parametrize("labels", [["a"] * 6, ["a", "b", "c", "d", "e", "f"], [""] * 6])
def test_too_little_to_tell_is_an_error(labels: list[str]) -> None:
    found = Embedded("mood", blobs(6, 2, 1.0).vectors, {"label": np.array(labels)})
    with pytest.raises(DataError, match=r"mood: . windows of . by label, expected 2 or more"):
        clusters(found, "label", 0)
    with pytest.raises(DataError, match="3 windows, expected 4"):
        tsne(Embedded("mood", found.vectors[:3], {}), 0)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, by_person=st.booleans())
def test_confusions_are_counted_as_one_would(seed: int, by_person: bool) -> None:
    pool = pool_of(3, people=15, each=4, seed=1, gap_z=1.0)
    asked = examples(pool, TASKS["age" if by_person else "activity"], mix="sampled", seed=0)
    shares = stream(seed).random((int(asked.tested.sum()), len(asked.classes)))
    found = _confusion(pool, asked, shares, "guess", "sampled")
    expected = np.zeros((len(asked.classes), len(asked.classes)))
    for share, target, weight in zip(shares, asked.target[asked.tested], asked.test_weight[asked.tested], strict=True):
        expected[int(target), share.argmax()] += weight
    np.testing.assert_allclose(np.array(found.counts), expected)


def test_accuracy_is_the_diagonal_of_the_confusion(planted_dataset: Dataset) -> None:
    table = discriminative.evaluate(
        MaskedAutoencoder(SHAPE, 0),
        Normaliser.fit(planted_dataset),
        planted_dataset,
        tasks=["exercise", "hypertension", "bmi"],
        methods=["random_forest"],
        seed=1,
        keep_embeddings=True,
    )
    accuracy = {row.task: row.value for row in table.rows if row.metric == "accuracy" and row.group == "all"}
    assert {found.task for found in table.confusions} == set(accuracy) == {"exercise", "hypertension"}
    for found in table.confusions:
        counts = np.array(found.counts)
        assert np.trace(counts) / counts.sum() == pytest.approx(accuracy[found.task])
    assert [found.task for found in table.embedded] == ["exercise", "hypertension"]


def test_embeddings_are_the_probes_with_the_labels_of_their_windows() -> None:
    pool = pool_of(3, people=10, each=5, seed=2, gap_z=1.0)
    network = MaskedAutoencoder(SHAPE, 1)
    pool.people["sex"] = ["female", "male"] * 5
    asked = examples(pool, TASKS["activity"], mix="found", seed=0)
    found = _embedded(network, pool, asked)
    np.testing.assert_array_equal(found.vectors, mean_embeddings(network, pool, asked.rows))
    np.testing.assert_allclose(found.vectors, keep_means(network, pool, 0).clean(asked.rows).numpy(), atol=1e-6)
    assert found.labels["label"].tolist() == pool.label[asked.rows].tolist()
    assert found.labels["person"].tolist() == [f"p{person}" for person in pool.person[asked.rows]]
    assert found.labels["sex"].tolist() == [["female", "male"][person % 2] for person in pool.person[asked.rows]]
    assert set(found.labels["age"][pool.person[asked.rows] == 0]) == {"18-34"}


def test_pictures_are_drawn(tmp_path: Path) -> None:
    confusion = discriminative.Confusion("mood", "fine_tune", "found", ("calm", "sad"), ((3.0, 1.0), (0.0, 0.0)))
    draw_confusion(confusion, tmp_path / "confusion.png")
    draw_maps(blobs(40, 3, 5.0), 0, tmp_path / "map.png")
    for name in ("confusion", "map"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_writes_tables_and_pictures(tmp_path: Path, capsys: Said) -> None:
    for command in (
        f"simulate --people 12 --days 3 --seed 5 --out {tmp_path / 'people'}",
        f"simulate --people 3 --days 1 --seed 6 --out {tmp_path / 'few'}",
        f"train {tmp_path / 'few'} --out {tmp_path / 'model'} --patch 10x5 --steps 2 --batch-windows 2",
    ):
        assert everywear.main(command.split()) == 0
    capsys.readouterr()
    out = tmp_path / "out"
    command = f"evaluate {tmp_path / 'model'} {tmp_path / 'people'} --tasks exercise,bmi --methods random_forest"
    assert everywear.main([*command.split(), "--windows-per-person", "2", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {path.name for path in out.iterdir()} == {
        "scores.json",
        "scores.txt",
        "confusion-exercise-random_forest.png",
        "tsne-exercise.png",
    }
    assert json.loads((out / "scores.json").read_text())["clusters"] == said["clusters"]
    assert {"label", "person", "sex"} <= {row["by"] for row in said["clusters"]}
    assert "exercise, by person" in (out / "scores.txt").read_text()
    for place, told in (("people/inside", "lies in the dataset"), ("people/dataset.json", "is a file")):
        assert everywear.main([*command.split(), "--out", str(tmp_path / place)]) == 2
        assert told in capsys.readouterr().err
