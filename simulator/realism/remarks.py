"""Remarks on norms that a dataset misses: a sentence a row, kept as data beside the norms.

In: a CSV file with the columns ``id`` and ``sentence``, the id being that of a norm. Out: sentences by id. A report
shows a sentence only where its row fails, so that it may stay when the people get better, and no code knows any row.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
    if not path.is_file():
        raise DataError(f"{path}: no such file of remarks")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, found = list(reader), reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file ({error})") from error
    for column in COLUMNS:
        if column not in found:
            raise DataError(f"{path}: no column {column!r}; found {', '.join(found)}")
    remarks: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if None in row:
            raise DataError(f"{path}, line {line}: more cells than columns; quote a sentence that holds a comma")
        key, sentence = (row["id"] or "").strip(), (row["sentence"] or "").strip()
        if not key or not sentence:
            raise DataError(f"{path}, line {line}: id {key!r} with sentence {sentence!r}, expected both")
        if key in remarks:
            raise DataError(f"{path}, line {line}, column 'id': {key!r} stands twice")
        remarks[key] = sentence
    return remarks
