"""The report of a bulk change as a browser shows it: filters, sorts, turns pages, no complaints."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import open_page
from tests.world import ICCIDS, World

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>\u202e\x1b[2J"
DRIVE = """
<script>
addEventListener("load", async () => {
  const found = {};
  const settle = () => new Promise((done) => setTimeout(done, 400));
  const look = (name) => {
    found[name] = {
      iccids: [...document.querySelectorAll("#body tr")].map((tr) => tr.children[1].textContent),
      where: document.querySelector("#where").textContent,
    };
  };
  const type = async (text) => {
    const box = document.querySelector("#text");
    box.value = text;
    box.dispatchEvent(new Event("input"));
    await settle();
  };
  const chip = (name) => document.querySelector(`[data-outcome=${name}]`).click();
  const sort = (column) => document.querySelectorAll("#devices th button")[column].click();
  look("all");
  document.querySelector("#on").click();
  look("second");
  await type("FAILED here"); look("words");
  await type(""); chip("failed"); look("failed");
  chip("failed"); sort(1); sort(1); look("sorted");
  const category = document.querySelector("#category");
  category.value = "invalid_iccid";
  category.dispatchEvent(new Event("change"));
  look("category");
  dispatchEvent(new Event("beforeprint")); category.value = ""; category.dispatchEvent(new Event("change"));
  look("printed");
  const buttons = () => document.querySelectorAll("#devices th button").length;
  found.buttons = [buttons()];
  dispatchEvent(new Event("afterprint"));
  found.buttons.push(buttons());
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>
"""


@pytest.fixture
def page(world: World, tmp_path: Path) -> Path:
    """The report of 150 devices, some of them failed, one of them hostile."""
    failed = {"Status": "API_FAILED", "IsProcessed": True, "HasErrors": True}
    rows: list[dict[str, Any]] = [
        {"ICCID": f"8914800001{number:010}", "MSISDN": f"1201555{number:04}", "IsProcessed": True}
        for number in range(147)
    ]
    rows.append({"ICCID": ICCIDS[0], "StatusDetails": "not_found: failed just here", **failed})
    rows.append({"ICCID": "8914<b>", "StatusDetails": f"invalid_iccid: {HOSTILE}", **failed})
    bulk = world.given(*rows, ICCIDS[1], CreatedBy=HOSTILE)
    path = tmp_path / "report.html"
    ended = world.run("report", "bulk", bulk, "--html", path)
    assert ended.exit_code == 0
    return path


def test_it_opens_without_a_complaint_and_shows_hostile_data_as_text(page: Path) -> None:
    document, console = open_page(page, "--dump-dom")

    assert console == []
    assert "<title>Bulk change " in document
    assert 'class="chips live"' in document
    assert "1 to 100 of 150 devices" in document
    assert html.escape("</script><script>document.title='taken'</script>", quote=False) in document
    assert "\\u202e\\x1b[2J" in document
    assert "\u202e" not in document


def test_it_filters_sorts_and_turns_pages(page: Path, tmp_path: Path) -> None:
    driven = tmp_path / "driven.html"
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())  # which lets no script in but its own
    driven.write_text(text.replace("</body>", f"{DRIVE}</body>"))

    document, console = open_page(driven, "--virtual-time-budget=10000", "--dump-dom")

    assert console == []
    found = json.loads(html.unescape(document.split('<pre id="result">')[1].split("</pre>")[0]))
    assert found["all"]["where"] == "1 to 100 of 150 devices"
    # What needs a person stands first.
    assert found["all"]["iccids"][:3] == [ICCIDS[0], "8914<b>", ICCIDS[1]]
    assert found["second"]["where"] == "101 to 150 of 150 devices"
    assert found["words"]["iccids"] == [ICCIDS[0]]
    assert found["words"]["where"] == "1 to 1 of 1 devices that match, out of 150"
    assert found["failed"]["iccids"] == [ICCIDS[0]]
    assert found["sorted"]["iccids"] == sorted(found["sorted"]["iccids"], reverse=True)
    assert found["category"]["iccids"] == ["8914<b>"]
    assert len(found["printed"]["iccids"]) == 150
    # A heading with buttons in it would stand on the first sheet alone.
    assert found["buttons"] == [0, 8]


def test_it_prints_and_fits_a_telephone(page: Path, tmp_path: Path) -> None:
    printed, picture = tmp_path / "report.pdf", tmp_path / "phone.png"
    open_page(page, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    open_page(page, "--window-size=390,2000", f"--screenshot={picture}")
    # No window is that narrow, but a frame can be. Nothing may stick out of it.
    narrow, frame = tmp_path / "narrow.html", tmp_path / "frame.html"
    tell = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script></body>"
    narrow.write_text(re.sub(r"<meta http-equiv[^>]*>", "", page.read_text()).replace("</body>", tell))
    frame.write_text(
        "<script>onmessage = (told) => { document.title = told.data }</script>"
        f'<iframe src="{narrow.as_uri()}" width="390" height="2000"></iframe>'
    )
    document, _ = open_page(frame, "--virtual-time-budget=5000", "--dump-dom")

    assert printed.read_bytes().startswith(b"%PDF")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 0 < int(re.findall(r"<title>(\d+)", document)[0]) <= 390
