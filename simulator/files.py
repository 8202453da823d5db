"""Files written whole or not at all; JSON and CSV read back with their first fault named.

Whole: temporary name in the same folder, sync, rename, sync the folder.
"""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from simulator.recording import DataError

_T = TypeVar("_T")


def write_whole(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` so that a reader finds the old file or the new one, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:  # a full disk, an interrupt: half a file is of no use to anybody
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def check_writable(path: Path) -> None:
    """See that ``write_whole`` will find a folder to write ``path`` into, before hours of work for it.

    Raises:
        DataError: If a folder on the way is a file, or may not be written.
    """
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir():
        raise DataError(f"{path}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{path}: {there} may not be written")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """``write_whole`` for a JSON object, readable by people."""
    write_whole(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path, shape: TypeAdapter[_T]) -> _T:
    """The JSON of a file as a value of ``shape``.

    Raises:
        DataError: If it is not JSON or not of this shape; the message names the file, the field and what was found.
        FileNotFoundError: If there is no file.
    """
    return parse_json(path.read_bytes(), shape, path)


def parse_json(content: bytes, shape: TypeAdapter[_T], path: Path) -> _T:
    """What was read from ``path`` as a value of ``shape``.

    Raises:
        DataError: As ``read_json``.
    """
    try:
        return shape.validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path}: {first_fault(error)}") from error


def read_csv(path: Path, columns: Sequence[str], what: str) -> list[dict[str, str]]:
    """The rows of a small CSV file by column; row 0 stands in line 2.

    Args:
        path: The file, UTF-8 with or without a mark of it.
        columns: Those that must be there.
        what: What the file is, for the message if it is missing.

    Raises:
        DataError: If it is missing or no CSV, lacks a column, or a line has more or fewer cells than columns.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such {what}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, found = list(reader), reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file ({error})") from error
    for column in columns:
        if column not in found:
            raise DataError(f"{path}: no column {column!r}; found {', '.join(found)}")
    for line, row in enumerate(rows, start=2):
        if None in row:
            raise DataError(f"{path}, line {line}: more cells than columns; quote the ones that hold a comma")
        for column in columns:
            if row[column] is None:
                raise DataError(f"{path}, line {line}: no column {column!r}, expected {len(found)} of them")
    return rows


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: field, what was expected, what was found."""
    first = error.errors()[0]
    where = "".join(f"{step}." for step in first["loc"]).rstrip(".")
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}, found {first['input']!r:.80}" if where else said


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
