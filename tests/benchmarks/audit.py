"""How long `audit verify` takes beside the least that a chain takes: to read it, and one HMAC a row."""

from __future__ import annotations

import hmac
import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.db.unit import Unit
from pondctl.telemetry.audit import MAIN, NOTHING, AuditKey, Draft, Link, RunChain, Who, end_of
from tests.benchmarks.figures import Figure, figure, ratios
from tests.benchmarks.process import Took, command, run

_SECRET = "k" * 32
_AT = "2026-11-27 08:00:00.000"
_WRITES_A_RUN = 10_000


def measure(rounds: int, *, full: bool) -> list[Figure]:
    """Both in turn, so that both meet the same machine."""
    rows = 1_000_000 if full else 200_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trail.db"
        _fill(path, rows)
        pairs = [(_verify(path), run(["-m", "tests.benchmarks.audit", str(path)], {})) for _ in range(rounds)]
    ours, bare = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for took in ours:
        assert json.loads(took.stdout)["whole"] is True
    of = f"audit verify beside a bare chain, {rows:,} rows"
    return [
        ratios(of, "times as long", [t.seconds for t in ours], [t.seconds for t in bare]),
        figure(of, "rows a second", (rows / t.seconds for t in ours), ">= 100,000"),
        figure(of, "bare chain, rows a second", (rows / t.seconds for t in bare)),
        figure(of, "MiB", (t.peak_mib for t in ours)),
    ]


def _verify(path: Path) -> Took:
    settings = {"PONDCTL_DATABASE__URL": f"sqlite:///{path}", "PONDCTL_TELEMETRY__AUDIT_KEY": _SECRET}
    return run(command("audit", "verify", "-o", "json"), settings)


def _fill(path: Path, rows: int) -> None:
    """Two runs at a time write in turns, as they do."""
    path.touch()
    database = Database.open(f"sqlite:///{path}")
    init_database(database)
    key, who = AuditKey(_SECRET.encode()), Who("ops", "host-1", "production")

    def fill(unit: Unit) -> None:
        main, count, runs = Link(0, NOTHING), 0, []
        while count < rows:
            if not runs or all(chain.end.sequence >= _WRITES_A_RUN for chain in runs):
                runs = []
                for number in range(2):
                    begun = key.add(
                        MAIN, main, Draft("run.begun", "activate", {}, f"r{count + number}"), who, _AT
                    )
                    unit.audit_rows.add([begun])
                    main = end_of([begun])
                    runs.append(RunChain(key, who, begun))
            for chain in runs:
                entries = chain.sign([draft for n in range(25) for draft in _write(chain, n)])
                unit.audit_rows.add(entries)
                chain.added(entries)
                count += len(entries)

    database.write(fill)
    database.close()


def _write(chain: RunChain, number: int) -> list[Draft]:
    step = f"{chain.run_id}:{chain.end.sequence + number}"
    asked = {"step": step, "kind": "add_package", "asked": {"packageTypeId": 1001}}
    answer = {"step": step, "state": "done", "answer": {"packageId": "61234"}}
    device = f"dev:{chain.end.sequence + number:08d}"
    return [
        Draft("write.intent", "activate", asked, device=device),
        Draft("write.outcome", "activate", answer, device=device),
    ]


def _bare(path: str) -> None:
    """No more than a chain needs: read a row, spell it, sign it."""
    last: dict[str, str] = {}
    query = (
        "SELECT chain, sequence, run_id, event, command, actor, host, profile, reason, device, body, "
        "recorded_at, key_id, previous_mac FROM pondctl_audit ORDER BY id"
    )
    for row in sqlite3.connect(path).execute(query):
        said = "\0".join(map(str, row)).encode()
        last[row[0]] = hmac.digest(_SECRET.encode(), said, "sha256").hex()


if __name__ == "__main__":
    _bare(sys.argv[1])
