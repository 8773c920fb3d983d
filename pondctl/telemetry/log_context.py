"""What the events of a thread are about: run id, bulk change, device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_facts: Final[ContextVar[Mapping[str, Any]]] = ContextVar("pondctl_log_facts")
_NONE: Final[Mapping[str, Any]] = {}


def log_facts() -> Mapping[str, Any]:
    """What is bound here and now."""
    return _facts.get(_NONE)


@contextmanager
def log_context(**facts: object) -> Iterator[None]:
    """Put these facts (run id, bulk change, device) into every event logged inside the block."""
    token = _facts.set({**log_facts(), **facts})
    try:
        yield
    finally:
        _facts.reset(token)


def in_log_context(work: Callable[P, R]) -> Callable[P, R]:
    """Return `work` so that, on whatever thread it runs, its events carry the facts bound here and now."""
    facts = log_facts()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with log_context(**facts):
            return work(*args, **kwargs)

    return run
