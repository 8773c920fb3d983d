"""How a device's steps end: an outcome from what the carrier said or did not say. Pure."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pondctl.clients.pond_models import Package
from pondctl.errors import Category, DeviceError
from pondctl.models import DeviceOutcome, Outcome
from pondctl.services.lifecycle.instructions import Ended
from pondctl.services.lifecycle.packages import Objection
from pondctl.services.lifecycle.read_back import Unproven


class Allowance:
    """How many packages this run may still end; shared by all its devices."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Take so many, or none where not so many are left."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True


def in_trouble(iccid: str, trouble: DeviceError | Unproven, detail: str = "") -> DeviceOutcome:
    """Temporary: `deferred`; permanent: `failed`; not known: `unknown`. `detail` says what stands now."""
    error = trouble.error if isinstance(trouble, Unproven) else trouble
    outcome = Outcome.DEFERRED if error.temporary else Outcome.FAILED
    said = error.message
    if isinstance(trouble, Unproven):
        outcome = Outcome.UNKNOWN
        said = f"the answer to a write was lost and could not be read back ({said})"
    return DeviceOutcome(
        iccid,
        outcome,
        category=error.category,
        carrier_state=error.carrier_state,
        detail=f"{detail}: {said}" if detail else said,
    )


def objected(iccid: str, objection: Objection, packages: Sequence[Package]) -> Ended:
    """Nothing is begun; what stands at the carrier is saved all the same."""
    outcome = Outcome.FAILED if objection.refused else Outcome.SKIPPED
    return unchanged_by(
        DeviceOutcome(iccid, outcome, category=objection.category, detail=objection.detail), packages
    )


def guarded(iccid: str, detail: str, packages: Sequence[Package] | None = None) -> Ended:
    """A rule of ours keeps the hands off this device."""
    outcome = DeviceOutcome(iccid, Outcome.SKIPPED, category=Category.GUARDED, detail=detail)
    return unchanged_by(outcome, packages)


def unchanged_by(outcome: DeviceOutcome, packages: Sequence[Package] | None) -> Ended:
    """An ending that leaves the packages as they were found."""
    shown = None if packages is None else tuple(packages)
    return Ended(outcome, shown, shown)


def worst(troubles: Sequence[DeviceError | Unproven]) -> DeviceError | Unproven:
    """Not knowing outweighs a refusal, and a refusal what passes by itself."""
    return min(troubles, key=_lightness)


def _lightness(trouble: DeviceError | Unproven) -> int:
    if isinstance(trouble, Unproven):
        return 0
    return 2 if trouble.temporary else 1
