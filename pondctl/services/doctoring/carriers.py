"""Probes of the carriers: the way there, the clock, the credentials. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.clients.server_probe import look_at
from pondctl.clients.thingspace import ThingSpaceClient
from pondctl.clients.thingspace_auth import MOST_REFUSALS
from pondctl.clients.tokens import TokenStore
from pondctl.errors import ExitCode, PondctlError
from pondctl.services._standing import span
from pondctl.services.doctoring.found import Found, finding, note, ok, warning
from pondctl.services.doctoring.tokens import LoginNotTriedError

# Digits that are an ICCID for everybody and nobody's: what is proven is the key, not the device.
PROBE_ICCID: Final = "8900000000000000000"
RESET_HINT: Final = "mend the cause, then: pondctl doctor --reset-lockout"
_DAYS_LEFT: Final = 14
# Beyond it AWS refuses signatures; leases and deadlines go by the database's clock.
_CLOCK_OFF: Final = 300.0
_CLOCK_DRIFTS: Final = 30.0
_SET_THE_CLOCK: Final = "set this machine's clock: timedatectl set-ntp true (or the time service of the host)"


def ask_server(base_url: str) -> Iterator[Found]:
    """DNS, TLS and clock of one carrier's server."""
    facts = look_at(base_url)
    if facts.proxied:
        yield note("reached through a proxy, which also looks up the name and checks the way behind it")
    elif facts.tls is None:
        yield ok("answers, on loopback without TLS")
    elif facts.certificate_days is not None and facts.certificate_days < _DAYS_LEFT:
        left = f"the certificate is accepted, and ends in {facts.certificate_days:.0f} days"
        yield warning(left, "the carrier, or whoever runs the gateway, has to renew it")
    else:
        yield ok(f"found ({facts.addresses} addresses), {facts.tls}, certificate accepted")
    if facts.ahead_seconds is not None:
        yield judge_clock(facts.ahead_seconds, "the server's")


def judge_clock(ahead_seconds: float, whose: str) -> Found:
    """Compare this machine's clock with another one."""
    off = abs(ahead_seconds)
    if off < _CLOCK_DRIFTS:
        return ok(f"this clock and {whose} agree")
    side = "behind" if ahead_seconds > 0 else "ahead of"
    message = f"this machine's clock is {span(off)} {side} {whose}"
    if off < _CLOCK_OFF:
        return warning(message, _SET_THE_CLOCK)
    return finding(message, _SET_THE_CLOCK)


def ask_thingspace(
    client: Callable[[], ThingSpaceClient], tokens: Callable[[], TokenStore], account: str
) -> Iterator[Found]:
    """Token, session and account. A login is tried only where the guard allows one."""
    try:
        stored = tokens().load()
    except PondctlError:
        yield note(
            "not asked: how many logins were refused is not known without the database and the secrets"
        )
        return
    if stored.refused >= MOST_REFUSALS:
        refused = f"the last {stored.refused} logins were refused, so no other one is tried"
        yield finding(refused, RESET_HINT, ExitCode.REFUSED)
        return
    if stored.refused:
        yield warning(f"the last login was refused ({stored.refused} in a row)", RESET_HINT)
    try:
        client().probe()
    except LoginNotTriedError as error:
        yield warning(error.message, "run doctor as a login that may write pondctl's own tables")
        return
    shared = "the shared session" if stored.session else "a new session"
    yield ok(f"token and {shared} are accepted; account {account or '(none set)'}")
    if not account:
        yield warning("thingspace.account_name is not set", "set it: a scan of all accounts finds strangers")


def ask_pond(client: Callable[[], PondClient], *, write_enabled: bool) -> Iterator[Found]:
    """The key, by reading one device that need not exist."""
    client().probe(PROBE_ICCID)
    yield ok("the key is accepted")
    if not write_enabled:
        yield note("pond.write_enabled is false: every write is refused before any call")
