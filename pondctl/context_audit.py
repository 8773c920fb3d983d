"""Which role a command needs, and how it goes on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pondctl.errors import PermissionDeniedError

if TYPE_CHECKING:
    from pondctl.config.sections import Role
    from pondctl.context import AppContext
    from pondctl.db.database import Database
    from pondctl.services.auditing.action import Action
    from pondctl.services.auditing.trail import Trail


class Admission:
    """What the command has declared; `AppContext` asks it before settings and database are given out."""

    def __init__(self, app: AppContext) -> None:
        self._app = app
        self._action: Action | None = None
        self._trail: Trail | None = None
        self.role: Role = "viewer"

    def admit(
        self,
        role: Role,
        command: str,
        arguments: Mapping[str, object],
        reason: str | None,
        *,
        makes_tables: bool = False,
    ) -> None:
        """Take the role that the command needs. What needs more than to look goes on record."""
        self.role = role
        if role != "viewer":
            from pondctl.services.auditing.action import Action

            name = command.partition(" ")[2] or command
            self._action = Action(name, arguments, reason, makes_tables=makes_tables)

    def opened(self, database: Database) -> None:
        """Put the intent on record: the database is about to be used."""
        from pondctl.services.auditing.trail import bind_known_device_keys

        database.greet = bind_known_device_keys
        if self._action is not None:
            self._action.begin(self.trail_of(database))

    def ended(self, error: BaseException | None) -> None:
        """The command has come to its end, if with this error."""
        action, self._action = self._action, None
        if action is not None:
            action.end(error)

    def trail_of(self, database: Database) -> Trail:
        """The audit trail in a database."""
        from pondctl.services.auditing.trail import Trail
        from pondctl.telemetry.audit_head import HeadFile

        settings = self._app.settings
        if self._trail is None:
            head = HeadFile(f"{database.state_address.shown} {settings.database.state_schema}")
            self._trail = Trail(database, settings.profile, self._key, head)
        return self._trail

    def _key(self) -> bytes:
        from pondctl.telemetry.host_keys import host_key, key_file

        key: str = self._app.settings.telemetry.audit_key.reveal()
        if key:
            return key.encode()
        try:
            return host_key("audit")
        except OSError as error:
            raise PermissionDeniedError(
                f"no audit trail without a key, and {key_file('audit')} cannot be kept: {error.strerror}",
                hint="set telemetry.audit_key to a secret (file:PATH, env:NAME, …), the same on all hosts",
            ) from None
