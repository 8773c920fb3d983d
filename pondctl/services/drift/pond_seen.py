"""The one word that stands for a SIM's packages at POND, where its changes are observed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pondctl.clients.pond_models import PackageStatus

NO_PACKAGE = "no package"
_ORDER = (PackageStatus.ACTIVE, PackageStatus.NOT_ACTIVE, PackageStatus.TERMINATED)


def pond_state(statuses: Iterable[str]) -> str:
    """The most alive of the packages' own status words; with two active ones their number before it."""
    words = [status.strip().upper() for status in statuses]
    odd = sorted({word for word in words if word not in _ORDER})
    found = next((str(status) for status in _ORDER if status in words), odd[0] if odd else NO_PACKAGE)
    active = words.count(PackageStatus.ACTIVE)
    return f"{active} {found}" if active > 1 else found
