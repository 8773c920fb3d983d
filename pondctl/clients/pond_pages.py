"""A listing that is complete, or no listing: what is missing from one must never look absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from pondctl.clients.pond_api import PAGE_SIZE
from pondctl.clients.pond_models import Package
from pondctl.clients.pond_parse import PackagePage, UnreadableError

# Far above any real SIM: a larger total is a carrier gone wrong, not a reason for a million calls.
MOST_PACKAGES: Final = 10_000

AskPage = Callable[[int, int], PackagePage]
AskPages = Callable[[AskPage, Iterable[int], int], Iterable[PackagePage]]


def read_all(ask: AskPage, ask_many: AskPages) -> list[Package]:
    """Return every package; `UnreadableError` where the pages do not add up.

    `ask(offset, count)` gets one page; `ask_many` gets those of several offsets, at once if it can.
    The length of the first page is the page size from then on: a carrier may allow fewer than asked.
    """
    first = ask(0, PAGE_SIZE)
    size = len(first.packages)
    if first.total > MOST_PACKAGES:
        raise UnreadableError(f"the listing claims {first.total:,} packages")
    if first.offset not in (None, 0) or size > first.total or (not size and first.total):
        raise _incomplete(size, first.total)
    packages = list(first.packages)
    offsets = range(size, first.total, size) if size else range(0)
    for offset, page in zip(offsets, ask_many(ask, offsets, size), strict=True):
        if page.total != first.total:
            raise UnreadableError(f"the listing changed from {first.total} to {page.total} while it was read")
        if page.offset not in (None, offset) or len(page.packages) != min(size, first.total - offset):
            raise _incomplete(len(packages) + len(page.packages), first.total)
        packages += page.packages
    distinct = len({package.package_id for package in packages})
    if distinct != first.total:
        raise _incomplete(distinct, first.total)
    return packages


def _incomplete(seen: int, total: int) -> UnreadableError:
    return UnreadableError(f"the listing is not complete: {seen} distinct packages of {total}")
