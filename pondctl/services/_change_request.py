"""The JSON of a row's ChangeRequest, its keys without case, as the host's own reader takes them."""

from __future__ import annotations

import json
from typing import Any


def load_request(text: str) -> Any:
    """What the text holds, every key in lower case; raises ValueError or RecursionError."""
    return json.loads(text, object_pairs_hook=_lower)


def _lower(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key.lower(): value for key, value in pairs}
