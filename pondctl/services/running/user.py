"""Who runs this process."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """As the operating system says it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for its user id
        return f"uid {os.getuid()}"
