"""Notifications through Apprise: mail, chat, pagers, webhooks; sent aside, within a bounded time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pondctl.errors import ConfigurationError
from pondctl.telemetry import metrics
from pondctl.telemetry.logger import Logger

EXTRA_HINT: Final = "pip install 'pondctl[notify]'"
# One channel may take so long; one that hangs must not take the others' time as well.
_CHANNEL_SECONDS: Final = 8.0
_log = Logger()


@dataclass(slots=True)
class _Sending:
    """One channel on its way. `ok`: it was taken."""

    kind: str
    thread: threading.Thread
    ok: list[bool] = field(default_factory=list)


def require_apprise() -> None:
    """Raise `ConfigurationError` where the package is missing."""
    try:
        import apprise  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "telemetry.notify needs the package apprise, which is not installed", hint=EXTRA_HINT
        ) from None


def check_channels(urls: Sequence[str]) -> list[str]:
    """The kinds of those channels whose URL Apprise cannot read; nothing is sent."""
    _load()
    import apprise

    return [kind_of(url) for url in urls if not apprise.Apprise().add(url)]


def send(urls: Sequence[str], title: str, body: str) -> bool:
    """Send to every channel at once; true where at least one took it. A channel that fails is only told.

    Raises `ConfigurationError` where the package is missing.
    """
    _load()
    sendings = [_begin(url, title, body) for url in urls]
    for sending in sendings:
        sending.thread.join(_CHANNEL_SECONDS)
        went = sending.ok == [True]
        metrics.count(
            "pondctl_notifications_total", channel=sending.kind, result="sent" if went else "failed"
        )
        if not went:
            why = "it took too long" if sending.thread.is_alive() else "it was not taken"
            _log.warning("notification not sent", channel=sending.kind, reason=why)
    return any(sending.ok == [True] for sending in sendings)


def kind_of(url: str) -> str:
    """What may be said of a channel: its kind; the rest of the URL is a secret."""
    return url.partition(":")[0].lower()[:20] if "://" in url else "unreadable"


def _load() -> None:
    """Get Apprise ready: reading its plug-ins takes a second or more, which is nobody's channel's."""
    require_apprise()
    import apprise

    # It would write whole URLs, secrets and all; what matters is said by us.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    apprise.Apprise().add("json://localhost")


def _begin(url: str, title: str, body: str) -> _Sending:
    sending = _Sending(kind_of(url), threading.Thread(target=lambda: _send(url, title, body, sending.ok)))
    sending.thread.daemon = True
    sending.thread.start()
    return sending


def _send(url: str, title: str, body: str, ok: list[bool]) -> None:
    import apprise

    try:
        channel = apprise.Apprise()
        taken = channel.add(url) and channel.notify(
            title=title, body=body, body_format=apprise.NotifyFormat.TEXT
        )
    except Exception:
        # Whatever a plug-in raises: its words may hold the URL.
        taken = False
    ok.append(bool(taken))
