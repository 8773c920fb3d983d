"""One command of an operator on record: the intent before anything is done, the outcome after it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from pondctl.errors import ConfigurationError, ExitCode, PondctlError, SchemaError
from pondctl.services.auditing.trail import Trail
from pondctl.telemetry.audit import Draft, without_secrets


@dataclass(slots=True)
class Action:
    """`makes_tables`: the command may be the one that makes the table of the audit trail."""

    command: str
    arguments: Mapping[str, object]
    reason: str | None = None
    makes_tables: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    _trail: Trail | None = None
    _waits_for_table: bool = False

    def begin(self, trail: Trail) -> None:
        """Put the intent on record; raises where that cannot be done, and then nothing may be done."""
        _ = trail.key
        try:
            trail.record(self._intent)
        except (SchemaError, ConfigurationError):
            if not self.makes_tables:
                raise
            self._waits_for_table = True
        self._trail = trail

    def end(self, error: BaseException | None) -> None:
        """Put the outcome on record, where the action has begun."""
        exit_code = _code(error)
        trail, self._trail = self._trail, None
        if trail is None:
            return
        if self._waits_for_table:
            if exit_code != ExitCode.OK:
                return  # there is no table yet, and nothing else was done
            trail.head.begin_anew()
            trail.record(self._intent)

        def outcome() -> Draft:
            said = {"exit_code": exit_code, "error": _word(error), "runs": trail.run_ids}
            body = {"action": self.id, **without_secrets(said)}
            return Draft("action.outcome", self.command, body, reason=self.reason)

        trail.try_to_record(outcome)

    def _intent(self) -> Draft:
        body = {"action": self.id, "arguments": without_secrets(self.arguments)}
        return Draft("action.intent", self.command, body, reason=self.reason)


def _code(error: BaseException | None) -> int:
    """What the process exits with; an error that says nothing of it is a bug, or a second Ctrl-C."""
    if error is None:
        return ExitCode.OK
    fallback = ExitCode.SIGINT if isinstance(error, KeyboardInterrupt) else ExitCode.BUG
    return int(getattr(error, "exit_code", fallback))


def _word(error: BaseException | None) -> str | None:
    if error is None or (hasattr(error, "exit_code") and not isinstance(error, PondctlError)):
        return None  # an exit with a code
    return f"{error.code}: {error.message}" if isinstance(error, PondctlError) else type(error).__name__
