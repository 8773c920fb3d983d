"""What list and show commands print: rows of a query, or one thing with its details."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, TypeGuard

from pondctl.output.safe import csv_cell, dumps, exact, plain, shown
from pondctl.output.tables import Column, Table

_BATCH = 500
Row = Mapping[str, object]


def write_rows(stream: IO[str], form: str, rows: Iterable[Row], columns: Sequence[Column]) -> int:
    """Write all rows in one of the four formats; returns how many there were."""
    writer = {"json": _json, "jsonl": _jsonl, "csv": _csv}.get(form, _table)
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    writer(stream, counted(), columns)
    stream.flush()
    return count


def write_record(stream: IO[str], form: str, record: Row, *, parts: bool = False) -> None:
    """Write one thing in one of the four formats; a list of objects inside it becomes a table of its own.

    With `parts`, objects inside it are sections too.
    """
    if form == "table" and parts:
        from pondctl.output.sections import write_sections

        write_sections(stream, record)
    elif form == "json":
        stream.write(dumps(exact(record), indent=2) + "\n")
    elif form == "table":
        _details(stream, record)
    else:
        write_rows(stream, form, [record], [Column(key) for key in record])
    stream.flush()


def _json(stream: IO[str], rows: Iterable[Row], columns: Sequence[Column]) -> None:
    stream.write("[")
    between = "\n"
    for row in rows:
        stream.write(between + dumps(exact(row)))
        between = ",\n"
    stream.write("\n]\n" if between == ",\n" else "]\n")


def _jsonl(stream: IO[str], rows: Iterable[Row], columns: Sequence[Column]) -> None:
    for batch in _batches(rows):
        stream.write("".join(f"{dumps(exact(row))}\n" for row in batch))
        stream.flush()


def _csv(stream: IO[str], rows: Iterable[Row], columns: Sequence[Column]) -> None:
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow([csv_cell(column.key) for column in columns])
    for batch in _batches(rows):
        lines.writerows([csv_cell(row.get(column.key)) for column in columns] for row in batch)
        stream.flush()


def _table(stream: IO[str], rows: Iterable[Row], columns: Sequence[Column]) -> None:
    table = Table(stream, columns)
    for batch in _batches(rows):
        table.add(batch)
        stream.flush()


def _details(stream: IO[str], record: Row) -> None:
    lists = {key: value for key, value in record.items() if _is_rows(value)}
    lines = [(_label(key), shown(value)) for key, value in record.items() if key not in lists]
    width = max((len(label) for label, _ in lines), default=0)
    for label, value in lines:
        stream.write(f"{label.ljust(width)}  {value}\n")
    for key, rows in lists.items():
        stream.write(f"\n{_label(key)}\n")
        keys = dict.fromkeys(name for row in rows for name in row)
        Table(stream, [Column(name) for name in keys]).add(rows)


def _is_rows(value: object) -> TypeGuard[Sequence[Row]]:
    return (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)
    )


def _label(key: str) -> str:
    return plain(key.replace("_", " "))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        yield batch
