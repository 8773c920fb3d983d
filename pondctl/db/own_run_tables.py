"""The columns of what runs leave behind: the run with its lease, its steps, and what it decided."""

from __future__ import annotations

import sqlalchemy as sa

from pondctl.db.columns import Part, big, flag, long_text, moment, number, row_id, word


def run() -> tuple[Part, ...]:
    """One row a run, finished or not.

    `claim` is the lease: the target while the run lives, its own id afterwards. Unique and never
    NULL, so that one index serves both databases. `last_unit` is written with whatever the run writes:
    it tells whether a commit was kept whose answer was lost.
    """
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


def outcome() -> tuple[Part, ...]:
    """What a run decided about a device, but for what was simply done."""
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


def step() -> tuple[Part, ...]:
    """Claims of devices, and carrier writes: the intent and what became of it are one row.

    `claim` names the device while the claim is open, and the step itself afterwards.
    """
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
