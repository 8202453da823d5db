"""What frozen embeddings hold: how far clusters found in them are activities or people, and a map of them.

LSM-1 [1] shows both in appendix C.4: t-SNE maps by activity, sex, age and person (Figs 8 and 9), and three figures of
clusters (Table 12). Its Calinski-Harabasz score hardly moves when fine-tuning lifts ARI tenfold, so it must be that of
the clusters found, not of the labels; both are here.

[1] Narayanswamy, Liu et al., ICLR 2025, arXiv:2410.13638.
"""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, normalized_mutual_info_score

from simulator.randomness import stream
from simulator.recording import DataError

PERPLEXITY: Final = 30.0  # of t-SNE; scikit-learn's, the paper does not tell its own
MAP_WINDOWS: Final = 2_000  # of a map at most; beyond, some are drawn: points would cover each other
STARTS: Final = 10  # of k-means, of which the best is kept


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A task's windows as a frozen encoder sees them.

    Attributes:
        task: The task whose windows they are.
        vectors: float32 [n, width], mean embeddings.
        labels: By what they can be told apart ("label": the task's classes; "person", "sex", "age"), str [n]; ""
            where nobody knows.
    """

    task: str
    vectors: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.str_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Figures of k-means clusters, as many as there are labels, held against the labels.

    Attributes:
        task: The task whose windows they are.
        by: What the labels say: a key of ``Embedded.labels``.
        clusters: How many.
        calinski_harabasz: Spread between over spread within, of the clusters.
        calinski_harabasz_of_labels: The same, of the labels.
        ari: Adjusted Rand index of clusters and labels: 0 by chance, 1 the same.
        nmi: Normalised mutual information: 1 the same; not 0 by chance, least of all with many clusters.
        n: Windows.
    """

    task: str
    by: str
    clusters: int
    calinski_harabasz: float
    calinski_harabasz_of_labels: float
    ari: float
    nmi: float
    n: int

    def as_json(self) -> dict[str, object]:
        """Plain values for a record."""
        return asdict(self)


def clusters(found: Embedded, by: str, seed: int) -> Clusters:
    """Cluster embeddings, each dimension standardised, and hold the clusters against labels.

    Args:
        found: Embeddings.
        by: A key of its labels; windows without one are left out.
        seed: Of where k-means starts.

    Raises:
        DataError: If there are fewer than two labels, or no more windows than labels.
    """
    known = found.labels[by] != ""
    label = found.labels[by][known]
    k = len(np.unique(label))
    if not 2 <= k < len(label):
        raise DataError(
            f"{found.task}: {len(label)} windows of {k} by {by}, expected 2 or more of these, and more windows"
        )
    vectors = standardised(found.vectors[known])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters, where windows repeat
        cluster = KMeans(k, n_init=STARTS, random_state=_state(seed, "clusters")).fit_predict(vectors)
    several = 2 <= len(np.unique(cluster)) < len(cluster)
    return Clusters(
        task=found.task,
        by=by,
        clusters=k,
        calinski_harabasz=float(calinski_harabasz_score(vectors, cluster)) if several else 0.0,
        calinski_harabasz_of_labels=float(calinski_harabasz_score(vectors, label)),
        ari=float(adjusted_rand_score(label, cluster)),
        nmi=float(normalized_mutual_info_score(label, cluster)),
        n=len(label),
    )


def table(rows: list[Clusters]) -> str:
    """The figures as text: a line a task and kind of label."""
    head = f"{'clusters of embeddings':<32}" + "".join(
        f"{name:>12}" for name in ("k", "CH", "CH labels", "ARI", "NMI", "windows")
    )
    lines = [
        f"{f'{row.task}, by {row.by}':<32}{row.clusters:>12}{row.calinski_harabasz:12.1f}"
        f"{row.calinski_harabasz_of_labels:12.1f}{row.ari:12.3f}{row.nmi:12.3f}{row.n:>12}"
        for row in rows
    ]
    return "\n".join([head, *lines, "CH: Calinski-Harabasz, of the clusters found and of the labels"])


def tsne(found: Embedded, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A map of embeddings in the plane.

    Returns:
        Rows of ``found`` that are on it, int64 [m], and where they lie, float32 [m, 2].

    Raises:
        DataError: If there are fewer than four windows.
    """
    n = len(found.vectors)
    if n < 4:
        raise DataError(f"{found.task}: {n} windows, expected 4 or more for a map")
    rows = np.sort(stream(seed, "map").permutation(n)[:MAP_WINDOWS])
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    chart = TSNE(perplexity=perplexity, init="pca", random_state=_state(seed, "t-SNE"))
    place = chart.fit_transform(standardised(found.vectors[rows]))
    return rows, np.asarray(place, dtype=np.float32)


def standardised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each dimension with mean 0 and deviation 1 over windows; one that never changes is 0."""
    spread = vectors.std(axis=0)
    return np.asarray((vectors - vectors.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0), dtype=np.float32)


def _state(seed: int, name: str) -> int:
    """A seed as scikit-learn takes it."""
    return int(stream(seed, "embeddings", name).integers(2**31))
