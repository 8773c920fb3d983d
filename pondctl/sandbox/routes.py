"""Which path and verb means which endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.routing import compile_path

from pondctl.sandbox.wire import Answer, Call

Namer = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. The name may depend on the body: a lookup and a page share their path."""

    name: str | Namer
    method: str
    path: str
    check: Callable[[Call], None]
    handle: Callable[[Call], Answer]

    def endpoint(self, body: bytes) -> str:
        """The name under which this call is counted and hit by faults."""
        return self.name if isinstance(self.name, str) else self.name(body)


class Router:
    """Fixed paths are looked up, the others are tried in order."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        for path, methods in by_path.items():
            if "{" in path:
                self._patterns.append((compile_path(path)[0], methods))
            else:
                self._fixed[path] = methods

    def find(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str], bool]:
        """The route and its path parameters; the last says whether the path is known under another verb."""
        methods = self._fixed.get(path)
        if methods is not None:
            return methods.get(method), {}, True
        for pattern, methods in self._patterns:
            match = pattern.match(path)
            if match:
                return methods.get(method), match.groupdict(), True
        return None, {}, False
