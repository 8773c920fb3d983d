"""Lets all SQLite engines of one process share what SQLAlchemy has compiled.

Each run of the program in a test opens an engine of its own, whose cache is empty: compiling the same few
hundred statements again and again took a third of the time of such a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


class _Compiled(dict[Any, Any]):
    """Keys begin with the dialect of an engine; those of SQLite all compile alike."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


@contextmanager
def compiled_once() -> Iterator[None]:
    """Within it a statement is compiled once for SQLite, whichever database it is for."""
    shared = _Compiled()

    def share(connection: sa.Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.execution_options(compiled_cache=shared)

    sa.event.listen(sa.Engine, "engine_connect", share)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "engine_connect", share)
