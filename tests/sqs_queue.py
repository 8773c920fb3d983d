"""One queue in memory that behaves as SQS does, worst case first: receipts go stale, deletes can miss."""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEDUPLICATION_SECONDS = 300


@dataclass(slots=True)
class Stored:
    """A message as the queue keeps it."""

    id: str
    body: str
    attributes: Mapping[str, Any]
    sent_ms: int
    group: str | None = None
    source_arn: str | None = None
    receives: int = 0
    visible_at: float = 0
    hidden: bool = False


@dataclass(slots=True)
class MemoryQueue:
    """`twice` is how likely a delivery is made a second time; `shuffled` gives any order."""

    name: str
    visibility_seconds: int = 30
    twice: float = 0
    shuffled: bool = False
    max_receives: int | None = None
    longest_visibility: float = 43_200
    messages: dict[str, Stored] = field(default_factory=dict)
    ready: deque[str] = field(default_factory=deque)
    sleeping: list[tuple[float, str]] = field(default_factory=list)
    sent_keys: dict[str, tuple[float, str]] = field(default_factory=dict)
    dead: list[Stored] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    sends: int = 0
    deletes: int = 0

    @property
    def fifo(self) -> bool:
        """Whether order and deduplication hold."""
        return self.name.endswith(".fifo")

    def send(self, entry: Mapping[str, Any]) -> str:
        """Take a message; returns its id."""
        now = time.monotonic()
        key = entry.get("MessageDeduplicationId")
        if self.fifo and key in self.sent_keys and now - self.sent_keys[key][0] < DEDUPLICATION_SECONDS:
            return self.sent_keys[key][1]
        self.sends += 1
        message = Stored(
            id=f"{self.name}-{self.sends:08}",
            body=entry["MessageBody"],
            attributes=entry.get("MessageAttributes", {}),
            sent_ms=int(time.time() * 1000),
            group=entry.get("MessageGroupId"),
        )
        if self.fifo and key:
            self.sent_keys[key] = (now, message.id)
        self.messages[message.id] = message
        self._hide_until(message, now + entry.get("DelaySeconds", 0))
        return message.id

    def receive(self, limit: int, visibility: int | None) -> list[tuple[Stored, str]]:
        """Hand out messages with a receipt each."""
        self._wake()
        if self.shuffled:
            self.rng.shuffle(self.ready)
        taken: list[tuple[Stored, str]] = []
        passed: list[str] = []
        while self.ready and len(taken) < limit:
            message = self.messages.get(self.ready.popleft())
            if message is None or message.hidden:
                continue
            if self._blocked(message):
                passed.append(message.id)
            elif self.max_receives is not None and message.receives >= self.max_receives:
                self.dead.append(self.messages.pop(message.id))
            else:
                taken.append((message, self._hand_out(message, visibility)))
        self.ready.extendleft(reversed(passed))
        return taken

    def delete(self, receipt: str) -> None:
        """Forget a message; a stale receipt deletes nothing and SQS does not say so."""
        message = self._of(receipt)
        if message is not None:
            del self.messages[message.id]
            self.deletes += 1

    def change(self, receipt: str, seconds: int) -> bool:
        """Set when a message in flight comes back."""
        message = self._of(receipt)
        if message is None or not message.hidden:
            return False
        self._hide_until(message, time.monotonic() + min(seconds, self.longest_visibility))
        return True

    def show_all(self, *, delayed: bool = True) -> None:
        """Let every visibility, and every delay where wanted, run out now."""
        for message in self.messages.values():
            if message.hidden and (delayed or message.receives):
                self._hide_until(message, time.monotonic())

    def counts(self) -> tuple[int, int]:
        """Messages visible, and not."""
        self._wake()
        hidden = sum(message.hidden for message in self.messages.values())
        return len(self.messages) - hidden, hidden

    def _hand_out(self, message: Stored, visibility: int | None) -> str:
        message.receives += 1
        receipt = f"{message.id}/{message.receives}"
        if self.rng.random() < self.twice:
            self.ready.append(message.id)
        else:
            seconds = min(
                self.visibility_seconds if visibility is None else visibility, self.longest_visibility
            )
            self._hide_until(message, time.monotonic() + seconds)
        return receipt

    def _blocked(self, message: Stored) -> bool:
        """In a FIFO queue a group waits for what is in flight of it."""
        if not self.fifo:
            return False
        return any(other.hidden and other.group == message.group for other in self.messages.values())

    def _of(self, receipt: str) -> Stored | None:
        message_id, _, number = receipt.rpartition("/")
        message = self.messages.get(message_id)
        return message if message and str(message.receives) == number else None

    def _hide_until(self, message: Stored, when: float) -> None:
        message.visible_at = when
        message.hidden = True
        heapq.heappush(self.sleeping, (when, message.id))
        self._wake()

    def _wake(self) -> None:
        now = time.monotonic()
        while self.sleeping and self.sleeping[0][0] <= now:
            when, message_id = heapq.heappop(self.sleeping)
            message = self.messages.get(message_id)
            if message and message.hidden and message.visible_at == when:
                message.hidden = False
                self.ready.append(message_id)
