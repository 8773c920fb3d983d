"""Consumes the queue: receive, look, work off, delete; many bulk changes at once, each by one worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final, Protocol

import structlog

from pondctl.clients.queue import Queue, ReceivedMessage
from pondctl.errors import InterruptedRunError, PondctlError, TerminatedRunError, UnavailableError
from pondctl.models import Stop
from pondctl.services._dispatch import Way
from pondctl.services._errands import Errands
from pondctl.services._hand import Hand
from pondctl.services._handling import Handling
from pondctl.services._tasks import Handled, Task
