"""`python -m tests.crash.killed_at POINT WORDS…`: pondctl, gone as by SIGKILL around its n-th commit.

POINT is `3-` (all is done, the third commit is not) or `3+` (it is, and nothing after it). The kill comes
from beneath pondctl, where it hands a transaction to the database; nothing of pondctl is replaced.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys

import sqlalchemy as sa


def kill_at(point: str) -> None:
    """Die at this commit of this process, whichever thread makes it."""
    wanted, side = int(point[:-1]), point[-1]
    count = itertools.count(1)
    reached: set[object] = set()

    @sa.event.listens_for(sa.Engine, "commit")
    def before(connection: sa.Connection) -> None:
        if next(count) != wanted:
            return
        if side == "-":
            os.kill(os.getpid(), signal.SIGKILL)
        reached.add(connection.connection.dbapi_connection)

    @sa.event.listens_for(sa.pool.Pool, "checkin")
    def after(dbapi_connection: object, _record: object) -> None:
        if dbapi_connection in reached:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    kill_at(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    from pondctl.cli import main

    main()
