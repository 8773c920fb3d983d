"""What an account scan has shown, in a local file of its own: memory stays flat at any size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from pondctl.db.batches import chunks
from pondctl.models import Device, normalize_state

_AT_ONCE: Final = 500


class Scratch:
    """ICCID → state and number. For one thread; the file has no name, so that a kill leaves none, either."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        # Nothing here outlives the process, so nothing is made safe against its death.
        for pragma in (
            "temp_store = FILE",
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
            "cache_size = -4096",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE device (iccid TEXT PRIMARY KEY, state TEXT, msisdn TEXT) WITHOUT ROWID"
        )
        self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, devices: Iterable[Device]) -> None:
        """Keep these devices; one that is shown again counts once, as it was shown last."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO device VALUES (?, ?, ?)",
            ((device.iccid, device.carrier_state, device.msisdn) for device in devices),
        )

    def find(self, iccids: Sequence[str]) -> dict[str, Device]:
        """Those of them that the scan has shown."""
        found: dict[str, Device] = {}
        for chunk in chunks(iccids, _AT_ONCE):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT iccid, state, msisdn FROM device WHERE iccid IN ({marks})"
            for iccid, state, msisdn in self._connection.execute(query, chunk):
                found[iccid] = Device(iccid, normalize_state(state), state, msisdn)
        return found

    @property
    def connection(self) -> sqlite3.Connection:
        """The file itself, for whoever keeps more in it; one transaction that is never committed."""
        return self._connection

    @property
    def count(self) -> int:
        """How many devices are kept."""
        count: int = self._connection.execute("SELECT count(*) FROM device").fetchone()[0]
        return count

    def close(self) -> None:
        """Throw the file away."""
        self._connection.close()
