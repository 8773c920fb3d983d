"""Which rights there are on a queue, asked for with calls that change nothing: SQS looks at those first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pondctl.clients.sqs import SqsQueue
from pondctl.errors import QueueUnavailableError

# No queue has given this receipt, and a batch without entries sends nothing.
_NO_RECEIPT: Final = "pondctl-asks-for-the-right"

_CALLS: Final[Mapping[str, Callable[[SqsQueue], object]]] = {
    "DeleteMessage": lambda queue: queue.delete_batch([_NO_RECEIPT]),
    "ChangeMessageVisibility": lambda queue: queue.change_visibility_batch([_NO_RECEIPT], 0),
    "SendMessage": lambda queue: queue.send_nothing(),
}
CONSUME: Final = ("DeleteMessage", "ChangeMessageVisibility", "SendMessage")


def require_rights(queue: SqsQueue, *actions: str) -> None:
    """Raise `PermissionDeniedError` for the first of the actions that is refused."""
    for action in actions:
        try:
            _CALLS[action](queue)
        except QueueUnavailableError:
            continue  # the right is there: the call itself was refused, as it has to be
