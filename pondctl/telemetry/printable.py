"""Text from outside, made harmless for a line of a log or a mail."""

from __future__ import annotations

import re

# Everything that moves the cursor, changes direction or breaks the line, lone surrogates included.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]"
)


def printable(text: str) -> str:
    """Return `text` with control and direction characters spelled out: it cannot drive a terminal."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)
