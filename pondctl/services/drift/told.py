"""Tells what was found and what became of it: page by page, so that a million findings take no memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pondctl.db.batches import chunks
from pondctl.db.scratch_findings import StoredFinding
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import Drift, Mender
from pondctl.services.drift.mends import MOVED
from pondctl.services.drift.report import ReconcileRequest, ReconcileResult

_DONE = "done"
_LEFT = "left"
_PAGE = 500


def tell(c: Comparison, run_id: str, request: ReconcileRequest, hints: Sequence[str]) -> ReconcileResult:
    """Report every finding, and return what it all came to."""
    for page in c.findings.pages():
        c.report.items([_stored_item(stored) for stored in page])
    counts = c.findings.counts()
    gone = _tell_gone(c, counts)
    mended = c.findings.count_results(_DONE)
    skipped = gone + c.findings.count_results(_LEFT).total() if request.plan is not None else 0
    return ReconcileResult(
        run_id=run_id,
        complete=c.complete,
        counts=counts,
        mended=mended,
        left=counts.total() - mended.total(),
        skipped=skipped,
        applied=request.apply and not request.dry_run,
        dry_run=request.dry_run,
        hints=(*hints, *_advice(c, request)),
        extra=c.extra,
    )


def menders(c: Comparison) -> Iterator[Drift]:
    """The findings that something can be done about, for a plan."""
    for page in c.findings.pages():
        for stored in page:
            drift = Drift.from_text(stored.text)
            if drift.mender is not Mender.NOBODY:
                yield drift


def _tell_gone(c: Comparison, counts: Counter[str]) -> int:
    """What a plan names and what is not so any more: counted as a finding of its kind that was left."""
    gone = 0
    for texts in chunks(c.findings.not_met(), _PAGE):
        drifts = [Drift.from_text(text) for text in texts]
        c.report.items([_item(drift, MOVED) for drift in drifts])
        counts.update(str(drift.kind) for drift in drifts)
        gone += len(drifts)
    return gone


def _advice(c: Comparison, request: ReconcileRequest) -> Iterator[str]:
    if request.plan is not None or request.plan_out is not None:
        return
    by_plan = c.findings.count([Mender.PLAN])
    if by_plan:
        yield f"{by_plan:,} need a person's review: pondctl reconcile --plan-out FILE"
    changes = c.findings.count([Mender.APPLY])
    if changes and not request.apply:
        yield f"{changes:,} can be mended: pondctl reconcile --apply --max-changes {changes}"


def _stored_item(stored: StoredFinding) -> dict[str, object]:
    return _item(Drift.from_text(stored.text), stored.result)


def _item(drift: Drift, result: str | None) -> dict[str, object]:
    about = drift.bulk_change_id
    return {
        "kind": str(drift.kind),
        "iccid": drift.iccid,
        "bulk_change_id": None if about is None else str(about),
        "here": drift.here,
        "there": drift.there,
        "mend": result or drift.mend,
    }
