"""The main job on one machine: a profile, a database and a bulk change for the simulated carriers."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from platformdirs import user_data_path

from pondctl.clients.message import parse
from pondctl.db.database import Database
from pondctl.db.records import NewBulkChange, NewDeviceChange
from pondctl.db.schema import init_database
from pondctl.db.unit import Unit
from pondctl.errors import ConfigurationError
from pondctl.models import EMBEDDED_QUEUE, Stop
from pondctl.services.queueing.deliveries import delivery_of
from pondctl.services.queueing.embedded_queue import EmbeddedQueue
from pondctl.services.syncing.next_check import Cause, cause_of

_BATCH = 1000
_NO_ICCIDS = ("", "12345", "89148-not-a-number", "8.91480E+19", "8914800000000000000000001")


@dataclass(frozen=True, slots=True)
class DemoSite:
    """What the demo leaves behind."""

    folder: Path
    config_file: Path
    database_file: Path

    @classmethod
    def fresh(cls, folder: Path) -> DemoSite:
        """An empty folder of the demo's own; what an earlier demo left there is removed."""
        site = cls(folder, folder / "config.toml", folder / "demo.db")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for old in (site.config_file, *folder.glob("demo.db*")):
                old.unlink(missing_ok=True)
            # A folder that takes no file is found out here.
            site.database_file.touch(0o600)
        except OSError as error:
            raise ConfigurationError(
                f"the demo cannot use the folder {folder}: {error.strerror}",
                hint="--folder DIR names another one",
            ) from None
        return site

    def write_profile(self, environment: Mapping[str, str]) -> None:
        """Write the profile, readable by its owner alone: it holds the sandbox's made-up credentials.

        `environment` names the sandbox's settings as variables would.
        """
        tables: dict[str, dict[str, object]] = {
            "database": {"url": f"sqlite:///{self.database_file}"},
            "queue": {"pending_check_seconds": 5, "retry_base_seconds": 5},
        }
        for name, value in environment.items():
            section, _, key = name.removeprefix("PONDCTL_").lower().partition("__")
            tables.setdefault(section, {})[key] = int(value) if key == "distributor_id" else value
        tables["thingspace"]["requests_per_second"] = 200
        lines = ['default_profile = "demo"', ""]
        for name, values in tables.items():
            lines += [f"[profiles.demo.{name}]"]
            # A JSON string or number is written the same way in TOML.
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()] + [""]
        handle = os.open(self.config_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))


def demo_folder() -> Path:
    """Where the demo lives unless told otherwise."""
    return Path(user_data_path("pondctl", appauthor=False)) / "demo"


def seed(database: Database, known: Iterable[str], total: int) -> int:
    """Create the tables and one bulk change of `total` devices; returns its id.

    Among the devices that the carrier knows are some it does not, some rows that name no device,
    and some that name one twice.
    """
    init_database(database)
    iccids = _mixed(known, total)
    new = NewBulkChange(service_provider_id=2, change_request_type="StatusUpdate", created_by="demo")
    bulk_change_id = database.write(lambda unit: unit.bulk_changes.add(new))
    for at in range(0, len(iccids), _BATCH):
        rows = [NewDeviceChange(iccid) for iccid in iccids[at : at + _BATCH]]
        database.write(partial(_add_rows, bulk_change_id, rows))
    return bulk_change_id


def _add_rows(bulk_change_id: int, rows: list[NewDeviceChange], unit: Unit) -> None:
    unit.device_changes.add(bulk_change_id, rows, created_by="demo")


def wait_for_check(database: Database, stop: Stop) -> Cause | None:
    """Take the next check off the queue once it is due; None when none is queued or a stop comes first.

    The run that it causes works it off.
    """
    queue = EmbeddedQueue(database, stop)
    while not stop.is_set():
        taken = queue.receive(1, wait_seconds=1, visibility_seconds=600)
        if taken:
            received = taken[0]
            message = parse(received.attributes, received.body)
            first_seen = received.sent_at or database.read(lambda unit: unit.now())
            return cause_of(message, first_seen, delivery_of(EMBEDDED_QUEUE, received, message))
        depth = queue.depth()
        if not depth.waiting and not depth.delayed:
            return None
    return None


def _mixed(known: Iterable[str], total: int) -> list[str]:
    iccids = list(known)[: max(0, total - _strange(total))]
    strangers = [f"8914877{number:012d}0" for number in range(_strange(total) - len(_NO_ICCIDS))]
    iccids += [*strangers, *_NO_ICCIDS][: total - len(iccids)]
    random.Random(1).shuffle(iccids)
    return iccids


def _strange(total: int) -> int:
    """How many of the rows are not simply a device the carrier knows: one in a hundred, and the odd ones."""
    return min(total // 2, total // 100 + len(_NO_ICCIDS))
