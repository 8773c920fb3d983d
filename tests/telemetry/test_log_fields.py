"""The fields of log events are those of the table in the README, in the code and in what runs emit."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pondctl
from tests.queue_world import QueueWorld
from tests.sqs_server import SqsServer
from tests.test_readme import part
from tests.world import ICCIDS, World

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
TYPES = {"text": (str,), "number": (int, float), "object": (dict,), "list": (list,)}


def table() -> dict[str, tuple[type, ...]]:
    """Field to its types, as the README has them."""
    rows = re.findall(r"^\| (`.+?`) \| ([a-z, ]+) \|", part("log fields"), flags=re.MULTILINE)
    flat = {kinds: tuple(kind for each in kinds.split(", ") for kind in TYPES[each]) for _, kinds in rows}
    return {name: flat[kinds] for names, kinds in rows for name in re.findall(r"`(\w+)`", names)}


def used_in_code() -> Iterator[tuple[str, str]]:
    """(file, field) of every call of a logger and every context of one."""
    for path in sorted(Path(pondctl.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            match node.func:
                case ast.Attribute(value=ast.Name(id="_log"), attr=level) if level in LEVELS:
                    pass
                case ast.Name(id="log_context"):
                    pass
                case _:
                    continue
            yield from ((path.name, keyword.arg) for keyword in node.keywords if keyword.arg)


def events(*stderrs: str) -> list[dict[str, Any]]:
    """All log lines."""
    return [json.loads(line) for text in stderrs for line in text.splitlines() if line.startswith('{"')]


def test_the_code_uses_no_other_field() -> None:
    known = set(table()) | {"exc_info"}
    found = list(used_in_code())

    assert len(found) > 50
    assert [each for each in found if each[1] not in known] == []


def test_every_event_of_real_runs_has_fields_of_the_table_and_names_its_run_and_item(
    world: World, sqs: SqsServer
) -> None:
    queue = QueueWorld(world, sqs)
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    world.thingspace.add(ICCIDS[1], state="pending activation")
    queue.put(world.given(*ICCIDS[:3]))
    queue.put("no number")

    worked = queue.work("--debug-http")
    by_hand = queue.sync(world.given(*ICCIDS[:3]), "-v", "--strategy", "lookup")
    found = events(worked.stderr, by_hand.stderr)

    fields = table()
    assert {"run begun", "run ended", "message handled", "dead letter", "carrier call"} <= {
        event["event"] for event in found
    }
    for event in found:
        assert {"timestamp", "level", "event"} <= set(event)
        assert [name for name in event if name not in fields] == []
        for name, value in event.items():
            assert value is None or isinstance(value, fields[name]), (name, value)
    calls = [event for event in found if event["event"] in ("carrier call", "run begun", "run ended")]
    assert all(event["run_id"] and event["bulk_change_id"] for event in calls)
    lookups = [each for each in calls if each.get("endpoint") == "/m2m/v1/devices/actions/list"]
    assert all(each["iccid"].startswith("dev:") for each in lookups if "iccid" in each)
    assert any("iccid" in each for each in lookups)
