"""The existing system's check of an activation, as its sources have it: one device at a time.

python -m tests.benchmarks.peer_loop DATABASE DEVICES

One login a run; for each device a new connection to the carrier, and where it is active a new connection
to the database, one update, one log line by itself, and four counts.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sqlite3
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_COUNTS = ("1 = 1", "IsProcessed = 1", "IsProcessed = 0", "HasErrors = 1")


class PlainCaller:
    """Speaks to the carrier that the variables point at, each time over a connection that is used once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._headers: dict[str, str] = {}

    def log_in(self) -> None:
        """Fetch both tokens for the calls that follow."""
        pair = base64.b64encode(f"{self['CLIENT_ID']}:{self['CLIENT_SECRET']}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {pair}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        bearer = json.loads(self.post("/ts/v1/oauth2/token", "grant_type=client_credentials"))["access_token"]
        self._headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        user = json.dumps({"username": self["USERNAME"], "password": self["PASSWORD"]})
        session = json.loads(self.post("/m2m/v1/session/login", user))["sessionToken"]
        self._headers["VZ-M2M-Token"] = session

    def list_devices(self, **wanted: object) -> bytes:
        """One answer of the list endpoint, as it came."""
        return self.post("/m2m/v1/devices/actions/list", json.dumps(wanted))

    def post(self, path: str, body: str) -> bytes:
        """Ask once."""
        where = urlsplit(self["BASE_URL"])
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        connection.request("POST", where.path + path, body, self._headers)
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def __getitem__(self, name: str) -> str:
        """One of the variables."""
        return self._environment[f"PONDCTL_THINGSPACE__{name}"]


def check(carrier: PlainCaller, path: str, row_id: int, iccid: str) -> None:
    """Read one device; write its number where it is active."""
    answer: Any = json.loads(carrier.list_devices(deviceId={"kind": "iccid", "id": iccid}))
    device = answer["devices"][0]
    if device["carrierInformations"][0]["state"] != "active":
        return
    numbers = {entry["kind"]: entry["id"] for entry in device["deviceIds"]}
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "UPDATE M2M_DeviceChange SET MSISDN = ?, Status = 'PROCESSED', IsProcessed = 1 WHERE Id = ?",
            (numbers.get("msisdn", numbers.get("mdn", "")), row_id),
        )
    with connection:
        connection.execute(
            "INSERT INTO DeviceBulkChangeLog (BulkChangeId, M2MDeviceChangeId, LogEntryDescription, "
            "HasErrors, ProcessedBy, ProcessedDate) VALUES (1, ?, 'Update', 0, 'loop', '2026-01-01')",
            (row_id,),
        )
    for condition in _COUNTS:
        connection.execute(f"SELECT count(*) FROM M2M_DeviceChange WHERE BulkChangeId = 1 AND {condition}")
    connection.close()


def main(path: str, devices: int) -> None:
    """Check the first so many devices that lack a number."""
    with sqlite3.connect(path) as connection:
        query = "SELECT Id, ICCID FROM M2M_DeviceChange WHERE MSISDN IS NULL ORDER BY Id LIMIT ?"
        rows = connection.execute(query, (devices,)).fetchall()
    connection.close()
    carrier = PlainCaller(os.environ)
    carrier.log_in()
    for row_id, iccid in rows:
        check(carrier, path, row_id, iccid)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
