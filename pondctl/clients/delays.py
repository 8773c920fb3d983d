"""When a message is due, and how an SQS delay of at most 15 minutes reaches further."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from typing import Final

SQS_MAX_DELAY_SECONDS: Final = 900
# A message cannot outlive its queue's retention; a due time beyond it is nobody's plan.
LONGEST_WAIT: Final = timedelta(days=14)


def deferred_delay(stalled: int, retry_base_seconds: float, rng: random.Random) -> int:
    """Seconds to the next check after `stalled` checks without progress: full jitter, at most 900."""
    ceiling = min(retry_base_seconds * 2 ** min(stalled, 20), SQS_MAX_DELAY_SECONDS)
    return round(rng.uniform(0, ceiling))


def hop_delay(not_before: datetime | None, now: datetime, longest: int | None) -> int:
    """Seconds to send a message with now; 0 when it is due.

    `longest` is what the queue can hold a message back (None: as long as asked). A message that
    comes back before its time is sent again, unchanged, with the next hop.
    """
    if not_before is None or not timedelta(0) < not_before - now <= LONGEST_WAIT:
        return 0
    seconds = math.ceil((not_before - now).total_seconds())
    return seconds if longest is None else min(seconds, longest)
