"""How thorough the tests are: `PONDCTL_TEST_LONG=1` asks for the long form, a nightly one."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("PONDCTL_TEST_LONG"))
