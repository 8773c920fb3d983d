from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.errors import UsageError
from pondctl.services.queueing.hints import Hints, read_hints

A, B = "89148000001234567898", "89148000001234567899"
SECRET = "hunter2secret"


def notice(iccid: str, code: str | None = None) -> dict[str, Any]:
    fault = {"faultResponse": {"faultcode": code, "faultstring": SECRET}} if code else {}
    return {"password": SECRET, "deviceIds": [{"id": iccid, "kind": "iccid"}], **fault}


def read(text: str | bytes) -> Hints:
    return read_hints("-", io.BytesIO(text if isinstance(text, bytes) else text.encode()))


def test_of_two_notices_about_one_device_the_later_one_counts() -> None:
    failed_then_done = read(f"{json.dumps(notice(A, 'X.Y'))}\n{json.dumps(notice(A))}")
    done_then_failed = read(f"{json.dumps(notice(A))}\n{json.dumps(notice(A, 'X.Y'))}")

    assert (len(failed_then_done.iccids), failed_then_done.faults) == (1, {})
    assert done_then_failed.faults == {A: "X.Y"}


def test_nothing_but_iccids_and_codes_is_kept() -> None:
    hints = read(json.dumps([notice(A, "X.Y"), notice(B, "no code")]))

    assert [hints.iccids[at] for at in range(2)] == [A, B]
    assert (hints.documents, hints.faults) == (2, {A: "X.Y"})
    assert SECRET not in repr(hints)


def test_a_million_lines_keep_little() -> None:
    lines = (json.dumps(notice(f"89148{number:015d}")) for number in range(20_000))

    hints = read("\n".join(lines))

    assert len(hints.iccids) == hints.documents == 20_000
    assert not hints.faults


def complaint(content: bytes) -> str | None:
    try:
        assert len(read(content).iccids)
    except UsageError as error:
        return error.message
    return None


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_no_file_crashes_it(content: bytes) -> None:
    assert len(complaint(content) or "") < 300


@settings(max_examples=200, deadline=None)
@given(
    good=st.integers(1, 4),
    bad=st.sampled_from(['{"deviceIds": 5}', "nonsense", "{}", "[]", "null", '"text"', "{", "\udc80"]),
    after=st.integers(0, 2),
)
def test_one_bad_line_is_named_wherever_it_stands(good: int, bad: str, after: int) -> None:
    lines = [json.dumps(notice(A))] * good + [bad] + [json.dumps(notice(B))] * after

    message = complaint("\n".join(lines).encode("utf-8", "surrogateescape"))

    assert f"line {good + 1} " in (message or "")
