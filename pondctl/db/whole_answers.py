"""Reads all that SQL Server answers to a write; a driver shows the rest only to who asks for it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mssql.base import MSExecutionContext


def read_whole_answers(engine: sa.Engine) -> None:
    """Count the rows of a write rightly, and raise its error, whatever a trigger of the host's says first.

    One that does not SET NOCOUNT ON tells how many rows its own statements wrote. The count that is
    compared with comes after those, and so does an error of a later row or of the trigger itself.
    """
    engine.dialect.execution_ctx_cls = _WholeAnswer


class _WholeAnswer(MSExecutionContext):
    def post_exec(self) -> None:
        super().post_exec()  # type: ignore[no-untyped-call] # has no annotations
        compiled: Any = self.compiled
        writes = self.isinsert or self.isupdate or self.isdelete
        if writes and not compiled.effective_returning:
            # After the last part the driver remembers no count any more.
            self._rowcount = last_count(self.cursor)


def last_count(cursor: Any) -> int:
    """The count that comes last; rows that a trigger selects are nobody's count."""
    count: int = cursor.rowcount
    while cursor.nextset():
        if cursor.description is None:
            count = cursor.rowcount
    return count
