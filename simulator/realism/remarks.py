"""Remarks on norms that a dataset misses: a sentence a row, kept as data beside the norms.

In: a CSV file with the columns ``id`` and ``sentence``, the id being that of a norm. Out: sentences by id. A report
shows a sentence only where its row fails, so that it may stay when the people get better, and no code knows any row.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from simulator.files import read_csv
from simulator.recording import DataError

REMARKS: Final = Path(__file__).with_name("remarks.csv")
COLUMNS: Final = ("id", "sentence")


def read_remarks(path: Path | None = None) -> Mapping[str, str]:
    """Sentences by the id of the norm that they are about.

    Args:
        path: CSV with the columns ``COLUMNS``; None: the remarks that come with the simulator.

    Raises:
        DataError: If the file is missing, a column is missing, a line has too many cells, a sentence is empty, or an
            id stands twice.
    """
    path = path or REMARKS
    remarks: dict[str, str] = {}
    for line, row in enumerate(read_csv(path, COLUMNS, "file of remarks"), start=2):
        key, sentence = row["id"].strip(), row["sentence"].strip()
        if not key or not sentence:
            raise DataError(f"{path}, line {line}: id {key!r} with sentence {sentence!r}, expected both")
        if key in remarks:
            raise DataError(f"{path}, line {line}, column 'id': {key!r} stands twice")
        remarks[key] = sentence
    return remarks
