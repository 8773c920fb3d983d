"""A thing with parts, as a person reads it: its own facts, then a section for each part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from pondctl.output.safe import plain, shown
from pondctl.output.tables import Column, Table

_INDENT = "  "
# Long texts: on a terminal they may be broken over lines.
_FOLDED = {"detail", "details", "what", "reason"}


def write_sections(stream: IO[str], record: Mapping[str, Any]) -> None:
    """Facts first; a mapping becomes a section, a list of mappings a table, a list of texts lines."""
    parts = dict(_parts("", record))
    for name, value in parts.items():
        if isinstance(value, Mapping) and not value:
            continue  # it has only parts of its own, which follow
        if name:
            stream.write(f"\n{plain(name)}\n")
        _write(stream, value, _INDENT if name else "")
    stream.flush()


def _parts(name: str, record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The facts of the record, then what is inside it, by its path in words."""
    facts = {key: value for key, value in record.items() if not isinstance(value, Mapping | list | tuple)}
    yield name, facts
    for key, value in record.items():
        path = f"{name}: {_words(key)}" if name else _words(key)
        if isinstance(value, Mapping):
            yield from _parts(path, value)
        elif isinstance(value, list | tuple):
            yield path, value


def _write(stream: IO[str], value: Any, indent: str) -> None:
    if isinstance(value, Mapping):
        width = max((len(_words(key)) for key in value), default=0)
        for key, fact in value.items():
            stream.write(f"{indent}{_words(key).ljust(width)}  {shown(fact)}\n")
    elif value and all(isinstance(item, Mapping) for item in value):
        _write_table(stream, value)
    else:
        for item in value or ("none",):
            stream.write(f"{indent}{shown(item)}\n")


def _write_table(stream: IO[str], rows: Sequence[Mapping[str, object]]) -> None:
    names = dict.fromkeys(name for row in rows for name in row)
    used = [name for name in names if any(row.get(name) is not None for row in rows)]
    Table(stream, [Column(name, fold=name in _FOLDED) for name in used]).add(rows)


def _words(key: str) -> str:
    return plain(key.replace("_", " "))
