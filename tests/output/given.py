"""Builders: devices, results, and an Output whose two streams can be read."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable

from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome, Retry, RunResult
from pondctl.output.console import Output
from pondctl.output.results import RunReport

RUN_ID = "01994c9e-53a1-7000-8000-00000000002a"


class Printed:
    """An Output on two strings."""

    def __init__(
        self, format: str = "table", *, quiet: bool = False, stdout: io.StringIO | None = None
    ) -> None:
        self.stdout = stdout or io.StringIO()
        self.stderr = io.StringIO()
        self.output = Output(format, quiet=quiet, stdout=self.stdout, stderr=self.stderr)

    @property
    def out(self) -> str:
        return self.stdout.getvalue()

    @property
    def err(self) -> str:
        return self.stderr.getvalue()

    def run(self, *devices: DeviceOutcome, retry: Retry | None = None, dry_run: bool = False) -> RunResult:
        """One whole run over these devices."""
        with self.output.results("sync-bulk") as report:
            begin(report, dry_run=dry_run)
            report.devices(devices)
            result = result_of(devices, retry=retry, dry_run=dry_run)
            report.finish(result)
        return result


def begin(report: RunReport, *, total: int | None = None, dry_run: bool = False) -> None:
    """The run of bulk change 42 has begun."""
    report.run(RUN_ID, bulk_change_id=42, dry_run=dry_run, total=total)


def device(number: int = 0, outcome: Outcome = Outcome.DONE, **more: object) -> DeviceOutcome:
    """A device with an ICCID of twenty digits, which no float64 holds."""
    return DeviceOutcome(f"8914800000{number:010}", outcome, **more)  # type: ignore[arg-type]


def failed(number: int = 0) -> DeviceOutcome:
    """A device that the carrier refused."""
    return device(
        number,
        Outcome.FAILED,
        category=Category.CARRIER_REJECTED,
        detail="the carrier refused it",
        device_change_id=9_007_199_254_740_993 + number,
    )


def result_of(
    devices: Iterable[DeviceOutcome], *, retry: Retry | None = None, dry_run: bool = False
) -> RunResult:
    """The result that these devices make."""
    counts = Counter(d.outcome for d in devices)
    return RunResult("sync-bulk", RUN_ID, counts, dry_run=dry_run, bulk_change_id=42, retry=retry)
