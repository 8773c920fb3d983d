from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from pondctl.errors import (
    BusyError,
    CarrierUnavailableError,
    Category,
    DatabaseUnavailableError,
    InterruptedRunError,
    NotFoundError,
    PondctlError,
)
from pondctl.models import Outcome, Retry, RunResult
from pondctl.output.results import RunReport
from tests.output.given import RUN_ID, Printed, begin, device, failed, result_of

NONE = {outcome.value: 0 for outcome in Outcome}
DEVICE_KEYS = {"device_change_id", "iccid", "outcome", "category", "carrier_state", "msisdn", "detail"}


def test_json_is_one_document_with_the_keys_of_the_contract() -> None:
    printed = Printed("json")

    printed.run(
        device(1, msisdn="12015550123", carrier_state="active", device_change_id=7),
        device(2, Outcome.PENDING, carrier_state="pending activation"),
        retry=Retry(1, 900),
    )

    document = json.loads(printed.out)
    assert document["command"] == "sync-bulk"
    assert document["run_id"] == RUN_ID
    assert document["status"] == "waiting"
    assert document["dry_run"] is False
    assert document["bulk_change_id"] == 42
    assert document["counts"] == {**NONE, "done": 1, "pending": 1}
    assert document["retry"] == {"retry_number": 1, "delay_seconds": 900}
    assert "error" not in document
    assert document["devices"][0] == {
        "device_change_id": "7",
        "iccid": "89148000000000000001",
        "outcome": "done",
        "category": None,
        "carrier_state": "active",
        "msisdn": "12015550123",
        "detail": None,
    }


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_devices_can_be_read_while_the_run_goes_on(form: str) -> None:
    printed = Printed(form)
    with printed.output.results("sync-bulk") as report:
        begin(report)
        report.devices([device(1)])
        assert device(1).iccid in printed.out
        report.devices([])
        report.devices([failed(2), device(3)])
        assert device(3).iccid in printed.out
        report.finish(result_of([device(1), failed(2), device(3)]))


def test_a_run_without_devices_is_still_a_document() -> None:
    printed = Printed("json")
    with printed.output.results("sync-bulk") as report:
        report.finish(RunResult("sync-bulk", RUN_ID, {}, bulk_change_id=42))

    assert json.loads(printed.out)["devices"] == []
    assert json.loads(printed.out)["status"] == "success"


def test_hints_and_extras_are_in_the_document_and_never_replace_its_own_keys() -> None:
    printed = Printed("json")
    with printed.output.results("sync-bulk") as report:
        begin(report)
        extra = {
            "strategy": "scan",
            "package_id": 12,
            "counts": 1,
            "run_id": "other",
            "devices": [],
            "error": 1,
        }
        report.finish(RunResult("sync-bulk", RUN_ID, {}, hints=("look at account_name",), extra=extra))

    document = json.loads(printed.out)
    assert document["strategy"] == "scan"
    assert document["package_id"] == "12"
    assert document["run_id"] == RUN_ID
    assert document["counts"]["done"] == 0
    assert document["hints"] == ["look at account_name"]
    assert "error" not in document


def test_jsonl_is_a_line_for_each_device_and_one_for_the_summary() -> None:
    printed = Printed("jsonl")

    printed.run(device(1), failed(2))

    *devices, last = [json.loads(line) for line in printed.out.splitlines()]
    assert [d["outcome"] for d in devices] == ["done", "failed"]
    assert all(d.keys() == DEVICE_KEYS for d in devices)
    assert last["summary"]["status"] == "partial"
    assert last["summary"]["counts"]["failed"] == 1
    assert last["summary"]["run_id"] == RUN_ID


def test_csv_is_header_and_devices_with_the_summary_on_stderr() -> None:
    printed = Printed("csv")

    printed.run(device(1), failed(2), retry=Retry(3, 60))

    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert rows[0].keys() == DEVICE_KEYS
    assert [row["outcome"] for row in rows] == ["done", "failed"]
    assert rows[1]["device_change_id"] == "9007199254740995"
    assert rows[0]["category"] == ""
    assert "2 devices: 1 done, 1 failed" in printed.err
    assert "next check number 3 in 1 min is queued" in printed.err


def test_the_table_shows_counts_and_the_first_fifty_that_are_not_done() -> None:
    printed = Printed()
    devices = [device(n) for n in range(30)] + [device(30, Outcome.UNCHANGED)]
    devices += [failed(n) for n in range(100, 160)]

    printed.run(*devices, retry=Retry(2, 900))

    assert "sync-bulk of bulk change 42: partial" in printed.out
    assert "91 devices: 30 done, 1 unchanged, 60 failed" in printed.out
    assert device(0).iccid not in printed.out
    assert device(30).iccid not in printed.out
    assert failed(149).iccid in printed.out
    assert failed(150).iccid not in printed.out
    assert "carrier_rejected: the carrier refused it" in printed.out
    assert f"10 more not done; `pondctl runs show {RUN_ID} --all` shows all of them" in printed.out
    assert "next check number 2 in 15 min is queued" in printed.out
    assert printed.err == ""


def test_a_table_without_trouble_lists_no_device_and_tells_hints_on_stderr() -> None:
    printed = Printed()
    with printed.output.results("sync-bulk") as report:
        begin(report)
        report.devices([device(1)])
        extra = {"read_as": "scan"}
        report.finish(
            RunResult("sync-bulk", RUN_ID, {Outcome.DONE: 1}, hints=("see account_name",), extra=extra)
        )

    assert "ICCID" not in printed.out
    assert "1 device: 1 done\nread as: scan\n" in printed.out
    assert printed.err == "hint: see account_name\n"


def test_a_dry_run_says_that_it_wrote_nothing() -> None:
    printed = Printed()

    printed.run(device(1), retry=Retry(1, 7200), dry_run=True)

    assert "dry run: nothing was written or sent" in printed.out
    assert "next check number 1 in 2 h would be queued" in printed.out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (60, "1 min"), (90, "90 s"), (150, "2 min"), (3600, "1 h"), (5400, "90 min")],
)
def test_delays_are_told_in_the_unit_that_fits(seconds: int, words: str) -> None:
    printed = Printed()

    printed.run(device(1, Outcome.PENDING), retry=Retry(1, seconds))

    assert f" in {words} is queued" in printed.out


def _run(printed: Printed, service: Callable[[RunReport], None]) -> None:
    with printed.output.results("sync-bulk") as report:
        begin(report)
        service(report)


def _cut_short(printed: Printed, error: BaseException, finish: bool = False) -> None:
    devices = [device(1), failed(2)]

    def service(report: RunReport) -> None:
        report.devices(devices)
        if finish:
            report.finish(result_of(devices, retry=Retry(1, 60)))
        raise error

    with pytest.raises(type(error)):
        _run(printed, service)


@pytest.mark.parametrize("finish", [False, True])
def test_an_error_completes_the_json_document_and_is_not_told_twice(finish: bool) -> None:
    printed = Printed("json")
    error = CarrierUnavailableError("ThingSpace gave no answer for 60 s", hint="run it again")

    _cut_short(printed, error, finish)
    code = printed.output.error(error)

    document = json.loads(printed.out)
    assert code == 7
    assert document["status"] == "error"
    assert document["counts"] == {**NONE, "done": 1, "failed": 1}
    assert len(document["devices"]) == 2
    assert document["error"] == {
        "code": "carrier_unavailable",
        "message": "ThingSpace gave no answer for 60 s",
        "hint": "run it again",
    }
    assert printed.err == "error: ThingSpace gave no answer for 60 s\nhint: run it again\n"


def test_an_error_is_in_the_last_line_of_jsonl() -> None:
    printed = Printed("jsonl")
    error = DatabaseUnavailableError("no answer")

    _cut_short(printed, error)
    printed.output.error(error)

    last = json.loads(printed.out.splitlines()[-1])
    assert last["summary"]["error"]["code"] == "database_unavailable"
    assert len(printed.out.splitlines()) == 3


@pytest.mark.parametrize("form", ["table", "csv"])
def test_what_was_decided_before_an_error_is_shown(form: str) -> None:
    printed = Printed(form)
    error = CarrierUnavailableError("no answer")

    _cut_short(printed, error)
    printed.output.error(error)

    assert failed(2).iccid in printed.out
    assert "error, the run ended early" in printed.out + printed.err
    assert printed.err.endswith("error: no answer\n")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_an_error_before_the_run_began_is_the_whole_document(form: str) -> None:
    printed = Printed(form)
    error = NotFoundError("there is no bulk change 42", hint="pondctl bulk list")
    with pytest.raises(NotFoundError), printed.output.results("sync-bulk"):
        raise error

    assert printed.output.error(error) == 2
    assert json.loads(printed.out) == {
        "error": {"code": "not_found", "message": "there is no bulk change 42", "hint": "pondctl bulk list"}
    }


@pytest.mark.parametrize("form", ["table", "csv"])
def test_an_error_before_the_run_began_leaves_stdout_empty(form: str) -> None:
    printed = Printed(form)
    error = NotFoundError("there is no bulk change 42")
    with pytest.raises(NotFoundError), printed.output.results("sync-bulk"):
        raise error
    printed.output.error(error)

    assert printed.out == ""
    assert printed.err == "error: there is no bulk change 42\n"


def test_a_table_of_a_run_that_failed_before_any_device_is_only_the_error() -> None:
    printed = Printed()

    def service(report: RunReport) -> None:
        raise BusyError("run 1 holds it")

    with pytest.raises(BusyError):
        _run(printed, service)

    assert printed.out == ""


def test_a_bug_completes_the_document_without_its_text() -> None:
    printed = Printed("json")

    _cut_short(printed, ValueError("password=hunter2"))
    code = printed.output.bug("/var/tmp/report.txt")

    assert code == 1
    assert json.loads(printed.out)["error"] == {
        "code": "bug",
        "message": "unexpected error: ValueError",
        "hint": None,
    }
    assert "hunter2" not in printed.out + printed.err
    assert "hint: the details are in /var/tmp/report.txt" in printed.err


def test_an_interruption_completes_the_document() -> None:
    printed = Printed("json")

    _cut_short(printed, KeyboardInterrupt())

    assert json.loads(printed.out)["error"]["code"] == "interrupted"


def test_a_run_that_forgets_its_result_is_an_error_in_the_document() -> None:
    printed = Printed("json")
    with printed.output.results("sync-bulk") as report:
        begin(report)

    assert json.loads(printed.out)["status"] == "error"


def test_a_broken_pipe_comes_out_and_nothing_more_is_written() -> None:
    class Pipe(io.StringIO):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                raise BrokenPipeError
            return super().write(text)

    pipe = Pipe()
    printed = Printed("jsonl", stdout=pipe)

    def service(report: RunReport) -> None:
        report.devices([device(1)])
        pipe.broken = True
        report.devices([device(2)])

    with pytest.raises(BrokenPipeError):
        _run(printed, service)

    assert len(printed.out.splitlines()) == 1


def _ends(*outcomes: Outcome) -> Callable[[RunReport], None]:
    def run(report: RunReport) -> None:
        devices = [device(n, outcome, category=Category.NETWORK) for n, outcome in enumerate(outcomes)]
        report.devices(devices)
        report.finish(result_of(devices))

    return run


def _raises(error: PondctlError) -> Callable[[RunReport], None]:
    def run(report: RunReport) -> None:
        report.devices([device(1)])
        raise error

    return run


def _told(printed: Printed, service: Callable[[RunReport], None]) -> int | None:
    try:
        _run(printed, service)
    except PondctlError as error:
        return printed.output.error(error)
    return None


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
@pytest.mark.parametrize(
    ("run", "code"),
    [
        pytest.param(_ends(), 0, id="nothing to do"),
        pytest.param(_ends(Outcome.DONE, Outcome.UNCHANGED), 0, id="done"),
        pytest.param(_raises(BusyError("run 1 holds it", hint="wait")), 6, id="busy"),
        pytest.param(_ends(Outcome.DONE, Outcome.PENDING), 8, id="pending"),
        pytest.param(_ends(Outcome.DEFERRED), 8, id="deferred"),
        pytest.param(_ends(Outcome.FAILED), 3, id="failed"),
        pytest.param(_ends(Outcome.SKIPPED, Outcome.PENDING), 3, id="skipped"),
        pytest.param(_ends(Outcome.UNKNOWN), 9, id="unknown"),
        pytest.param(_raises(CarrierUnavailableError("no answer")), 7, id="unavailable"),
        pytest.param(_raises(InterruptedRunError("stopped")), 130, id="interrupted"),
    ],
)
def test_quiet_prints_nothing_on_0_6_and_8_and_everything_else_whole(
    form: str, run: Callable[[RunReport], None], code: int
) -> None:
    quiet, loud = Printed(form, quiet=True), Printed(form)
    for printed in (quiet, loud):
        printed.output.note("about to touch production")
        printed.output.warn("the Luhn digit does not hold")
        assert _told(printed, run) in {None, code}

    if code in {0, 6, 8}:
        assert (quiet.out, quiet.err) == ("", "")
    else:
        assert quiet.out == loud.out
        assert quiet.err == loud.err.removeprefix("about to touch production\n")


def test_quiet_tells_an_error_before_the_run() -> None:
    printed = Printed("json", quiet=True)

    printed.output.error(NotFoundError("no such bulk change"))

    assert json.loads(printed.out)["error"]["code"] == "not_found"
    assert printed.err == "error: no such bulk change\n"
