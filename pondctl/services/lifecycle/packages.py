"""What a SIM's packages call for. Pure: packages in, a plan or an objection out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.errors import Category

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ActivationPlan:
    """`keep` is ACTIVE already, else `use` is activated, else a package is added.

    `end`: the other ACTIVE ones. `left`: what stays beside, NOT_ACTIVE or ACTIVE.
    """

    keep: Package | None
    use: Package | None
    end: tuple[Package, ...]
    left: tuple[Package, ...]

    @property
    def adds(self) -> bool:
        """Whether a package is added."""
        return self.keep is None and self.use is None

    @property
    def is_nothing(self) -> bool:
        """Whether all stands as it should."""
        return self.keep is not None and not self.end

    def describe(self, package_type_id: int) -> str:
        """What will be done, for a dry run."""
        if self.keep:
            parts = [f"package {self.keep.package_id} (type {package_type_id}) is ACTIVE"]
        elif self.use:
            parts = [f"activate package {self.use.package_id} (type {package_type_id})"]
        else:
            parts = [f"add a package of type {package_type_id}", "activate it"]
        if self.end:
            parts.append(f"end {named(self.end)}")
        return ", ".join(parts) + self.beside()

    def beside(self) -> str:
        """Names what stays, so that nothing that costs money is passed over in silence."""
        return f"; beside it stays {named(self.left)}" if self.left else ""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the operation must not be begun; a person has to look."""

    category: Category
    detail: str
    refused: bool = False


def plan_activation(
    packages: Sequence[Package], package_type_id: int, *, keep_others: bool
) -> ActivationPlan | Objection:
    """One ACTIVE package of the wanted type, and no other ACTIVE one unless `keep_others`.

    Of several of the wanted type the newest is kept or used; older ACTIVE ones are ended like others.
    """
    wanted = [p for p in packages if p.package_type_id == package_type_id]
    active = newest_first(p for p in packages if p.status is PackageStatus.ACTIVE)
    keep = next((p for p in active if p in wanted), None)
    unclear = [p for p in packages if _may_be(p, package_type_id) and not _is_clear(p)]
    if unclear and keep is None:
        return Objection(Category.INVALID_STATE, f"{named(unclear)} may be the wanted one: look by hand")
    idle = newest_first(p for p in packages if p.status is PackageStatus.NOT_ACTIVE)
    use = None if keep else next((p for p in idle if p in wanted), None)
    others = [p for p in active if p is not keep]
    twice = [p for p in others if p in wanted]
    if keep_others and twice and keep:
        return Objection(
            Category.INVALID_STATE,
            f"{named([keep, *twice])} are ACTIVE together; without --keep-existing the older would be ended",
        )
    odd = [p for p in packages if p.status is PackageStatus.UNKNOWN]
    left = [*(others if keep_others else []), *(p for p in idle if p is not use), *odd]
    return ActivationPlan(keep, use, () if keep_others else tuple(others), tuple(left))


def plan_termination(packages: Sequence[Package], package_id: str | None) -> tuple[Package, ...] | Objection:
    """The packages to end: all that are not TERMINATED, or the one that is named."""
    standing = [p for p in packages if p.status is not PackageStatus.TERMINATED]
    if package_id is None:
        return tuple(newest_first(standing))
    if all(p.package_id != package_id for p in packages):
        return Objection(Category.NOT_FOUND, f"the SIM has no package {package_id}", refused=True)
    return tuple(p for p in standing if p.package_id == package_id)


def find_added(
    packages: Iterable[Package], package_type_id: int | None, seen: Collection[str]
) -> Package | None:
    """The package that a lost "add" has left: of its type, and not there before. The newest of several."""
    new = [p for p in packages if p.package_type_id == package_type_id and p.package_id not in seen]
    return next(iter(newest_first(new)), None)


def newest_first(packages: Iterable[Package]) -> list[Package]:
    """By age; of the same age by id, so that two runs choose alike."""
    return sorted(packages, key=lambda p: (p.created_at or _BEGINNING, p.package_id), reverse=True)


def with_status(packages: Iterable[Package], package_id: str, status: PackageStatus) -> list[Package]:
    """The packages after one has changed."""
    return [
        replace(p, status=status, carrier_status=status.value) if p.package_id == package_id else p
        for p in packages
    ]


def named(packages: Sequence[Package]) -> str:
    """Packages in a sentence: id, type, the carrier's own status word."""
    noun = "package" if len(packages) == 1 else "packages"
    listed = ", ".join(
        f"{p.package_id} (type {p.package_type_id if p.package_type_id is not None else 'unreadable'}, "
        f"{p.carrier_status or 'no status'})"
        for p in packages
    )
    return f"{noun} {listed}"


def _may_be(package: Package, package_type_id: int) -> bool:
    """Of the wanted type, or of one that cannot be read, and not over."""
    standing = package.status is not PackageStatus.TERMINATED
    return standing and package.package_type_id in (None, package_type_id)


def _is_clear(package: Package) -> bool:
    return package.package_type_id is not None and package.status is not PackageStatus.UNKNOWN
