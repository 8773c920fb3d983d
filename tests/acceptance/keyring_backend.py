"""A keyring for tests, chosen by `PYTHON_KEYRING_BACKEND` as any other backend is."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Keeps `{"SERVICE/NAME": "value"}` in the file that `TEST_KEYRING` names."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        """What is kept under the name."""
        kept: dict[str, str] = json.loads(Path(os.environ["TEST_KEYRING"]).read_text(encoding="utf-8"))
        return kept.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Not needed."""
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        """Not needed."""
        raise NotImplementedError
