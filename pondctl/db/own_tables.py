"""pondctl's own tables: in a schema of their own on SQL Server, with a prefix elsewhere.

The migrations create them; a test holds the two against each other.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from pondctl.db.columns import OwnNames, Part, big, long_text, moment, number, row_id, word
from pondctl.db.own_run_tables import outcome, run, step

# The newest migration: a database that says anything else is older or newer than this program.
REVISIONS: Final = ("0001",)
VERSION_TABLE: Final = "pondctl_alembic_version"


class OwnTables:
    """One attribute for each table."""

    def __init__(self, names: OwnNames) -> None:
        self.names = names
        self.metadata = sa.MetaData(schema=names.schema)
        self.run = self._table("run", *run())
        self.outcome = self._table("outcome", *outcome())
        self.step = self._table("step", *step())
        self.message = self._table("message", *_message())
        self.dead_letter = self._table("dead_letter", *_dead_letter())
        self.pace = self._table("pace", *_pace())
        self.token = self._table("token", *_token())
        self.observation = self._table("observation", *_observation())
        self.audit = self._table("audit", *_audit())
        self.device_key = self._table("device_key", *_device_key())
        self.device_lock = self._table("device_lock", *_device_lock())
        self.device_check = self._table("device_check", *_device_check())
        self.alert = self._table("alert", *_alert())
        self.meta = self._table("meta", *_meta())
        self.version = sa.Table(
            VERSION_TABLE,
            sa.MetaData(schema=names.schema),
            sa.Column("version_num", sa.String(32), primary_key=True),
        )

    def _table(self, name: str, *parts: Part) -> sa.Table:
        return sa.Table(self.names.of(name), self.metadata, *parts)


def _message() -> tuple[Part, ...]:
    # The index of what is due says all that picking asks: who had to look into the row too would, on SQL
    # Server, hold the one while waiting for the other, against somebody who changes both.
    return (
        row_id(),
        word("message_key", 64, unique=True),
        word("queue", 400),
        long_text("attributes", null=False),
        long_text("body", null=False),
        big("bulk_change_id", null=True),
        number("retry_number"),
        word("state", 20),
        moment("not_before"),
        moment("visible_at"),
        number("receive_count"),
        word("receipt", 64, null=True),
        word("lineage", 200, null=True),
        word("sent_message_id", 200, null=True),
        long_text("error"),
        moment("created_at"),
        moment("changed_at"),
        sa.Index("ix_pondctl_message_due", "state", "queue", "visible_at", "id"),
        sa.Index("ix_pondctl_message_bulk_change", "bulk_change_id"),
        sa.Index("ix_pondctl_message_receipt", "receipt"),
    )


def _dead_letter() -> tuple[Part, ...]:
    return (
        row_id(),
        word("letter_key", 200, unique=True),
        word("source_queue", 400),
        word("source_message_id", 200, null=True),
        word("lineage", 200, null=True),
        big("bulk_change_id", null=True),
        number("retry_number"),
        number("receive_count"),
        long_text("body", null=False),
        long_text("attributes", null=False),
        word("category", 40),
        long_text("reason", null=False),
        long_text("attempts", null=False),
        word("state", 20),
        number("requeue_count"),
        moment("created_at"),
        moment("expires_at", null=True),
        moment("changed_at"),
        word("changed_by", 200, null=True),
        long_text("change_reason"),
        sa.Index("ix_pondctl_dead_letter_state", "state", "id"),
        sa.Index("ix_pondctl_dead_letter_bulk_change", "bulk_change_id"),
    )


def _pace() -> tuple[Part, ...]:
    # Times here are microseconds: at 200 calls a second the milliseconds of a datetime are too coarse.
    return (
        row_id(),
        word("name", 200, unique=True),
        big("next_slot"),
        big("throttled_at"),
        sa.Column("factor", sa.Float(), nullable=False),
        big("version"),
    )


def _token() -> tuple[Part, ...]:
    return (
        row_id(),
        word("fingerprint", 64, unique=True),
        long_text("bearer"),
        moment("bearer_until", null=True),
        long_text("session"),
        moment("session_used_at", null=True),
        number("refused"),
        big("version"),
        word("login_owner", 64, null=True),
        moment("login_until", null=True),
        moment("changed_at"),
    )


def _observation() -> tuple[Part, ...]:
    return (
        row_id(),
        word("iccid", 50),
        word("carrier", 20),
        word("state", 100),
        word("previous", 100, null=True),
        word("msisdn", 50, null=True),
        word("run_id", 64, null=True),
        moment("observed_at"),
        sa.Index("ix_pondctl_observation_iccid", "iccid", "id"),
        sa.Index("ix_pondctl_observation_run", "run_id", "id"),
    )


def _audit() -> tuple[Part, ...]:
    # Each row of a chain signs the one before; `chain` is a run, or the one that holds their ends.
    return (
        row_id(),
        word("chain", 64),
        big("sequence"),
        word("run_id", 64, null=True),
        word("event", 40),
        word("command", 60),
        word("actor", 200),
        word("host", 200),
        word("profile", 100),
        long_text("reason"),
        word("device", 20, null=True),
        long_text("body", null=False),
        moment("recorded_at"),
        word("key_id", 16),
        word("previous_mac", 64),
        word("mac", 64),
        sa.Index("ux_pondctl_audit_chain", "chain", "sequence", unique=True),
        sa.Index("ix_pondctl_audit_run", "run_id", "id"),
    )


def _device_key() -> tuple[Part, ...]:
    # `branch` is the beginning of a path of zeros and ones: see telemetry/device_keys.py.
    return (row_id(), word("branch", 40, unique=True), word("secret", 64), moment("made_at"))


def _device_lock() -> tuple[Part, ...]:
    return (
        row_id(),
        word("iccid", 50, unique=True),
        long_text("reason", null=False),
        word("locked_by", 200),
        moment("locked_at"),
    )


def _device_check() -> tuple[Part, ...]:
    return (row_id(), word("iccid", 50, unique=True), moment("checked_at"))


def _alert() -> tuple[Part, ...]:
    # One row for each thing that can be wrong, raised and resolved again and again. `told` is the state
    # that was notified of.
    return (
        row_id(),
        word("alert_key", 200, unique=True),
        word("kind", 40),
        word("subject", 150),
        long_text("detail", null=False),
        word("state", 20),
        moment("raised_at"),
        moment("resolved_at", null=True),
        word("told", 20, null=True),
        moment("tried_at", null=True),
    )


def _meta() -> tuple[Part, ...]:
    return (row_id(), word("name", 200, unique=True), long_text("value", null=False), moment("changed_at"))
