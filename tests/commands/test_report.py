"""`report bulk`, from the command line to SQL and back as a list or a page."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.world import ICCIDS, World

FAILED = {"Status": "API_FAILED", "IsProcessed": True, "HasErrors": True}


def _bulk(world: World) -> int:
    """Two devices that become active, one that waits, one that is not known, one that is no ICCID."""
    for iccid in ICCIDS[:2]:
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{iccid[-5:-1]}")
    world.thingspace.add(ICCIDS[2], state="pending activation")
    bulk = world.given(*ICCIDS[:4], "8914")
    world.run("sync-bulk", bulk)
    return bulk


def _data(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    data: dict[str, Any] = json.loads(found[0])
    return data


def test_the_list_has_every_device_with_its_outcome_and_why(world: World) -> None:
    bulk = _bulk(world)

    rows = world.run("report", "bulk", bulk, "-o", "json").json

    assert [row["outcome"] for row in rows] == ["done", "done", "pending", "failed", "skipped"]
    assert [row["iccid"] for row in rows] == [*ICCIDS[:4], "8914"]
    assert [row["carrier_state"] for row in rows[:4]] == ["active", "active", "pending activation", None]
    assert [row["category"] for row in rows] == [None, None, None, "not_found", "invalid_iccid"]
    assert "DeviceNotFound" in rows[3]["reason"]
    assert all(isinstance(row["id"], str) for row in rows)


def test_the_list_can_be_narrowed_and_says_what_it_left_out(world: World) -> None:
    bulk = _bulk(world)

    done = world.run("report", "bulk", bulk, "--outcome", "done", "--limit", "1")
    sheet = world.run("report", "bulk", bulk, "--all", "-o", "csv")

    assert "showing 1 of 2; --all for the rest" in done.stderr
    assert len(list(csv.DictReader(io.StringIO(sheet.stdout)))) == 5


def test_the_page_holds_all_that_is_known_and_asks_nobody(world: World, tmp_path: Path) -> None:
    bulk, path = _bulk(world), tmp_path / "report.html"

    ended = world.run("report", "bulk", bulk, "--html", path, "-o", "json")

    page = path.read_text(encoding="utf-8")
    assert ended.json == {
        "id": str(bulk),
        "file": str(path),
        "devices": 5,
        "left_out": 0,
        "bytes": path.stat().st_size,
    }
    assert f"Bulk change {bulk}" in page
    for title in (
        "What is open",
        "Outcomes",
        "States over time",
        "Reasons",
        "Response times",
        "Runs",
        "Devices",
    ):
        assert f"<h2>{title}</h2>" in page
    assert "(The device (this device) was not found)</span><b>1</b>" in page
    # What it waits for, the run with its counts, the calls of the run.
    assert "check number 1, due in" in page
    (run,) = world.own("run")
    assert run["run_id"] in page
    assert "2 done" in page
    assert "thingspace /m2m/v1/devices/actions/list" in page
    data = _data(page)
    assert [row[1] for row in data["rows"]] == [*ICCIDS[2:4], "8914", *ICCIDS[:2]]
    # Nothing is fetched, and the policy would not let it be.
    assert not re.search(r"(?i)https?:|//[a-z]|@import|\bsrc=|\bhref=|\burl\(|\bstyle=|\bon[a-z]+=", page)
    assert "default-src 'none'" in page
    assert stat.S_IMODE(path.stat().st_mode) & 0o111 == 0


def test_hostile_data_is_neither_markup_nor_control(world: World, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!-- &amp; \u202e \x1b]8;;x\x07 \u2028"
    row = {"ICCID": "8914\u202e<q>", "StatusDetails": f"invalid_iccid: {hostile}", "MSISDN": "<i>", **FAILED}
    bulk = world.given(row, CreatedBy=hostile[:100], ChangeRequestType="<u>", Status="<s>")
    path = tmp_path / "report.html"

    assert world.run("report", "bulk", bulk, "--html", path).exit_code == 0

    page = path.read_text(encoding="utf-8")
    assert not re.search(r"<(?:q|i|u|s)>|alert\(1\)</script>|<!-- ", page)
    assert page.count("<script") == page.count("</script>") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", page)
    assert _data(page)["rows"][0][1:3] == ["8914\\u202e<q>", "<i>"]


def test_a_bulk_change_that_nobody_worked_on_has_a_page_too(world: World, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    for bulk in (world.given(ICCIDS[0]), world.given()):
        assert world.run("report", "bulk", bulk, "--html", path, "--force").exit_code == 0
    page = path.read_text(encoding="utf-8")
    assert "The bulk change has no devices." in page
    assert "pondctl has not worked on it." in page


def test_an_existing_file_is_left_alone_unless_it_is_forced(world: World, tmp_path: Path) -> None:
    bulk, path = _bulk(world), tmp_path / "report.html"
    path.write_text("mine")
    link = tmp_path / "link.html"
    link.symlink_to(path)

    refused = world.run("report", "bulk", bulk, "--html", path)
    assert refused.exit_code == 2
    assert f"{path} exists" in refused.stderr
    assert "--force" in refused.stderr
    assert path.read_text() == "mine"

    assert world.run("report", "bulk", bulk, "--html", link, "--force").exit_code == 0
    assert "Bulk change" in path.read_text()
    assert link.is_symlink()
    assert sorted(each.name for each in tmp_path.glob("*.html")) == ["link.html", "report.html"]


@pytest.mark.parametrize("place", ["/dev/null", "folder", "nowhere/report.html"])
def test_what_cannot_be_written_is_named_before_anything_is_read(
    world: World, tmp_path: Path, place: str
) -> None:
    (tmp_path / "folder").mkdir()

    ended = world.run("report", "bulk", 1, "--html", tmp_path / place, "--force")

    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: ")
    assert Path("/dev/null").is_char_device()


def test_a_bulk_change_that_does_not_exist_is_said(world: World) -> None:
    ended = world.run("report", "bulk", 4711, "-o", "json")

    assert ended.exit_code == 2
    assert ended.json["error"]["code"] == "not_found"


def test_states_over_time_begin_with_what_was_known_before(world: World, tmp_path: Path) -> None:
    """A device that was active long before the bulk change is active in the chart from its beginning."""
    bulk = world.given(ICCIDS[0], ICCIDS[1], CreatedDate="2026-11-20 08:00:00")
    table = world.own_name("observation")
    for iccid, state, at in (
        (ICCIDS[0], "active", "2026-11-01 00:00:00"),
        (ICCIDS[1], "pending activation", "2026-11-20 09:00:00"),
        (ICCIDS[1], "active", "2026-11-20 11:00:00"),
    ):
        world.execute(
            f"INSERT INTO {table} (iccid, carrier, state, observed_at) VALUES (:i, 'thingspace', :s, :t)",
            i=iccid,
            s=state,
            t=at,
        )
    path = tmp_path / "report.html"

    world.run("report", "bulk", bulk, "--html", path, PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS="[2]")

    page = path.read_text()
    assert 'aria-label="from 2026-11-20T08:00:00Z to 2026-11-20T11:00:00Z"' in page
    assert "active <b>2</b>" in page
    assert "pending activation <b>0</b>" in page
