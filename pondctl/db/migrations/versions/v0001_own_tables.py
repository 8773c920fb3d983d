"""pondctl's own tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pondctl.db.columns import Part, big, flag, long_text, moment, number, own_names, row_id, word

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables of the first version."""
    names = own_names(op.get_context().opts)
    for name, parts in _tables().items():
        op.create_table(names.of(name), *parts, schema=names.schema)


def downgrade() -> None:
    """Drop them; what they hold is lost."""
    names = own_names(op.get_context().opts)
    for name in reversed(_tables()):
        op.drop_table(names.of(name), schema=names.schema)


def _tables() -> dict[str, tuple[Part, ...]]:
    return {
        "run": _run(),
        "outcome": _outcome(),
        "step": _step(),
        "message": _message(),
        "dead_letter": _dead_letter(),
        "pace": _pace(),
        "token": _token(),
        "observation": _observation(),
        "audit": _audit(),
        "device_key": _device_key(),
        "device_lock": _device_lock(),
        "device_check": _device_check(),
        "alert": _alert(),
        "meta": _meta(),
    }


def _run() -> tuple[Part, ...]:
    # `claim` is the lease: the target while the run lives, its own id afterwards. Unique and never
    # NULL, so that one index serves both databases.
    return (
        row_id(),
        word("run_id", 64, unique=True),
        word("claim", 200, unique=True),
        word("command", 50),
        word("target", 200, null=True),
        word("state", 20),
        word("actor", 200),
        word("host", 200),
        word("host_key", 200),
        number("pid"),
        sa.Column("process_started", sa.Float(), nullable=False),
        word("profile", 100),
        long_text("reason"),
        long_text("arguments", null=False),
        long_text("counts"),
        long_text("error"),
        word("error_code", 40, null=True),
        flag("cancel_requested"),
        long_text("cancel_reason"),
        moment("started_at"),
        moment("heartbeat_at"),
        moment("lease_until"),
        moment("finished_at", null=True),
        moment("notified_at", null=True),
        word("last_unit", 32, null=True),
        sa.Index("ix_pondctl_run_finished", "finished_at"),
    )


def _outcome() -> tuple[Part, ...]:
    return (
        row_id(),
        word("run_id", 64),
        word("iccid", 50),
        big("device_change_id", null=True),
        word("outcome", 20),
        word("category", 40, null=True),
        word("carrier_state", 100, null=True),
        word("msisdn", 50, null=True),
        long_text("detail"),
        sa.Index("ix_pondctl_outcome_run", "run_id", "id"),
        sa.Index("ix_pondctl_outcome_iccid", "iccid"),
    )


def _step() -> tuple[Part, ...]:
    # `claim` is `device:ICCID` while the step is open or unknown, its own name afterwards.
    return (
        row_id(),
        word("claim", 200, unique=True),
        word("run_id", 64),
        big("sequence"),
        word("carrier", 20),
        word("operation", 20),
        word("kind", 40),
        word("iccid", 50),
        number("service_provider_id"),
        big("device_change_id", null=True),
        big("bulk_change_id", null=True),
        long_text("intent", null=False),
        word("state", 20),
        word("category", 40, null=True),
        long_text("answer"),
        long_text("detail"),
        moment("opened_at"),
        moment("sent_at", null=True),
        moment("cut_at", null=True),
        moment("closed_at", null=True),
        sa.Index("ix_pondctl_step_run", "run_id", "sequence"),
        sa.Index("ix_pondctl_step_iccid", "iccid", "id"),
        sa.Index("ix_pondctl_step_state", "state", "id"),
    )


def _message() -> tuple[Part, ...]:
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
