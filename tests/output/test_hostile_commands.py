"""Hostile text in every column of every table: no command that looks lets it reach the terminal as it is.

The commands are found by introspection, the columns in the database: a new one of either is covered.
"""

from __future__ import annotations

import csv
import io
import json
import random
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from typer.main import get_group

from pondctl.cli import COMMANDS, build
from tests.dead_letters import bury
from tests.world import HOST_TABLES, ICCIDS, World

COUNT = 5000
PIECES = (
    *(
        "\x1b[2J",
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\x1b]52;c;cm0gLXJm\x07",
        "\x1b]8;;https://x.invalid\x1b\\y",
    ),
    *("\x9b31m", "\x9d52;c;x\x9c", "\x90q\x9c", "\r", "\n", "\t", "\x08", "\x7f", "\x85", "\x0b", "\x0c"),
    *("\u202e", "\u2066", "\u2069", "\u200f", "\u061c", "\u2028", "\u2029", "\ufeff", "\u200b", "\u00ad"),
    *("[red]", "[/red]", "[/]", "[link=https://x.invalid]", "[@click=quit]", ":smile:", "{0}", "%s", "${x}"),
    *(
        "=HYPERLINK(1)",
        "+1",
        "-1",
        "@SUM(1)",
        "\uff1d1",
        "<script>",
        "&amp;",
        "'",
        '"',
        "\\",
        "a",
        "é",
        "漢",
        "😀",
    ),
)
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Columns that the program itself writes in a form of its own: garbage there is a broken database.
OURS = {
    *(
        "claim",
        "arguments",
        "counts",
        "attributes",
        "attempts",
        "intent",
        "answer",
        "state",
        "kind",
        "outcome",
    ),
    *("category", "body", "run_id", "target", "carrier", "operation", "version_num", "lineage"),
    *("letter_key", "message_key", "queue", "source_queue", "command", "fingerprint", "bearer", "session"),
    *("name", "value", "event", "previous_mac", "mac", "login_owner", "receipt", "iccid"),
    # The rows must be found by these.
    *("ICCID", "MSISDN", "ChangeRequest"),
}
LOOKS = {"status", "list", "show", "check", "bulk", "verify", "watch"}


def hostile_texts() -> Iterator[str]:
    """As many as are promised, the same in every run; the first ones are each piece alone."""
    yield from PIECES
    picked = random.Random(18)
    for _ in range(COUNT - len(PIECES)):
        yield "".join(picked.choice(PIECES) for _ in range(picked.randint(2, 4)))


def looking(world: World) -> list[list[object]]:
    """Every command that only looks, with what it needs."""
    needs: dict[str, list[object]] = {
        "bulk show": [1],
        "watch": [1, "--timeout", "1s"],
        "device show": [ICCIDS[0]],
        "runs show": [world.own("run")[0]["run_id"]],
        "dead-letter show": [1],
        "report bulk": [1],
    }
    found: list[list[object]] = []
    for name, command in get_group(build(COMMANDS)).commands.items():
        for each in getattr(command, "commands", None) or [None]:
            words = [name, each] if each else [name]
            if words[-1] in LOOKS:
                found.append([*words, *needs.get(" ".join(words), [])])
    return found


def text_columns(world: World) -> Iterator[tuple[str, str, int]]:
    """(table, column, its length) of every text that a command may show."""
    inspector = sa.inspect(world.engine)
    for table in [*HOST_TABLES, *(t for t in inspector.get_table_names() if t.startswith("pondctl_"))]:
        for column in inspector.get_columns(table):
            length = getattr(column["type"], "length", None)
            if isinstance(column["type"], sa.String) and column["name"] not in OURS:
                yield table, column["name"], length or 50_000


def harmful(text: str) -> set[str]:
    return {char for char in text if unicodedata.category(char) in FORBIDDEN and char != "\n"}


def strings(document: Any) -> Iterator[str]:
    """Every text in a JSON document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)
    elif isinstance(document, str):
        yield document


@pytest.fixture
def filled(world: World) -> World:
    """A bulk change with every kind of row there is about it."""
    failed = {"Status": "API_FAILED", "IsProcessed": True, "HasErrors": True}
    world.thingspace.add(ICCIDS[1], state="pending activation")
    bulk = world.given(*({"ICCID": iccid, **failed} for iccid in ICCIDS[:1]), *ICCIDS[1:4], "8914")
    assert bulk == 1
    world.run("sync-bulk", bulk)
    world.run("device", "lock", ICCIDS[0], "--reason", "tests")
    assert bury(world, bulk_change_id=1) == [1]
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    return world


@pytest.mark.timeout(300)
def test_no_column_reaches_the_terminal_raw_and_json_has_it_exact(filled: World) -> None:
    world = filled
    texts = hostile_texts()
    columns = list(text_columns(world))
    assert len(columns) > 20
    planted: dict[tuple[str, str], str] = {}
    share = -(-COUNT // len(columns))
    for table, column, length in columns:
        # Several together: a field holds a share of all texts at once, as long as the column lets it.
        mine = "".join(text for _, text in zip(range(share), texts, strict=False))[:length]
        planted[table, column] = mine
        world.execute(f'UPDATE "{table}" SET "{column}" = :text', text=mine)

    commands = looking(world)
    assert {words[0] for words in commands} >= {
        "status",
        "bulk",
        "device",
        "runs",
        "dead-letter",
        "report",
        "watch",
        "config",
        "db",
    }
    seen: set[str] = set()
    for words in commands:
        runs = {form: world.run(*words, "-o", form) for form in ("table", "json", "jsonl", "csv")}
        for form, ended in runs.items():
            assert ended.exit_code in (0, 3, 7, 8), (words, form, ended.stderr)
            assert not harmful(ended.stdout + ended.stderr), (words, form)
        seen |= set(strings(runs["json"].json))
        for row in csv.reader(io.StringIO(runs["csv"].stdout)):
            assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\uff1d"))], words
        coloured = world.run(*words, FORCE_COLOR="1")
        bare = coloured.stdout.replace("\x1b[0m", "")
        assert "\x1b]" not in bare
        assert "\x1b[2J" not in bare

    exact = [place for place, text in planted.items() if any(text in each for each in seen)]
    # What a command shows, it shows whole and exact in JSON.
    assert ("BulkChange", "Status") in exact
    assert ("M2M_DeviceChange", "StatusDetails") in exact
    assert ("pondctl_dead_letter", "reason") in exact
    assert ("pondctl_run", "error") in exact
    assert len(exact) >= 12, sorted(exact)


@pytest.mark.timeout(300)
def test_5000_hostile_texts_of_a_carrier_in_the_result_of_a_run(world: World) -> None:
    """Each as the state of a device that ThingSpace shows: table, json and database take all of them."""
    texts = [text for text in dict.fromkeys(hostile_texts()) if text.strip()]
    iccids = [f"8914800009{number:010}" for number in range(len(texts))]
    for iccid, text in zip(iccids, texts, strict=True):
        world.thingspace.add(iccid, state=text)
    bulk = world.given(*iccids)

    result = world.run("sync-bulk", bulk, "-o", "json", "--strategy", "scan")
    listed = world.run("report", "bulk", bulk, "--all")
    sheet = world.run("report", "bulk", bulk, "--all", "-o", "csv")

    assert result.exit_code in (0, 3, 8), result.stderr
    shown = {each["iccid"]: each["carrier_state"] for each in json.loads(result.stdout)["devices"]}
    assert len(shown) == len(texts)
    # Blanks around a word are no part of it.
    assert [text for iccid, text in zip(iccids, texts, strict=True) if shown[iccid] != text.strip()] == []
    for ended in (result, listed, sheet):
        assert not harmful(ended.stdout + ended.stderr)
    assert len(listed.stdout.splitlines()) == len(texts) + 1
