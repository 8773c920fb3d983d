"""What a life-cycle command is asked to do, and what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pondctl.errors import Category
from pondctl.models import Operation


@dataclass(frozen=True, slots=True)
class LifeRequest:
    """One command, as it was typed; it is kept with the run, so that the run can be resumed."""

    operation: Operation
    bulk_change_id: int | None = None
    package_type_id: int | None = None
    package_id: str | None = None
    keep_existing: bool = False
    without_billing: bool = False
    service_provider_id: int | None = None
    reason: str | None = None
    workers: int = 8
    dry_run: bool = False

    @property
    def says_its_rows(self) -> bool:
        """Whether the rows alone say what is wanted, so that a queued check would do the same."""
        options = (self.package_type_id, self.package_id, self.keep_existing, self.without_billing)
        return self.operation is not Operation.TERMINATE and not any(options)

    def arguments(self) -> dict[str, object]:
        """For the run's row; there is nothing secret in it."""
        return {name: value for name, value in asdict(self).items() if name != "dry_run"}

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> LifeRequest:
        """The request that a run was started with."""
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in arguments.items() if name in known}
        return cls(**{**given, "operation": Operation(given["operation"])})


@dataclass(frozen=True, slots=True)
class LifeLimits:
    """The settings that hold a run back (`pond.*`, `limits.*`, `access.*`)."""

    distributor_id: int
    write_enabled: bool = True
    settle_seconds: float = 30.0
    max_terminations: int = 1000
    max_replacements: int = 10_000
    max_error_rate: float = 0.05
    pond_providers: tuple[int, ...] = ()
    other_providers: tuple[int, ...] = ()
    allowed_providers: tuple[int, ...] = ()
    worker_takes_checks: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One device to be worked on, with every row of the bulk change that names it.

    `refusal`: why it is not even looked at.
    """

    iccid: str
    device_change_ids: tuple[int, ...] = ()
    package_type_id: int | None = None
    refusal: tuple[Category, str] | None = None
