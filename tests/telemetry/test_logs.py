from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.telemetry.identifiers import bind_key, pseudonym, stored_key
from pondctl.telemetry.log_context import in_log_context, log_context
from pondctl.telemetry.logs import configure
from pondctl.telemetry.printable import printable
from pondctl.telemetry.redact import register_secret

ICCID = "89148000001234567898"


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    bind_key(b"k" * 32)
    # A client that was opened before has silenced them.
    libraries = {name: logging.getLogger(name) for name in ("httpx", "httpcore")}
    levels = {name: library.level for name, library in libraries.items()}
    for library in libraries.values():
        library.setLevel(logging.NOTSET)
    yield
    for name, library in libraries.items():
        library.setLevel(levels[name])
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()
    bind_key(stored_key)


def _log(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


PLANTED = {
    "bearer": "Planted-bearer-0f1e2d3c",
    "session": "Planted-session-4b5a69",
    "client secret": "Planted/client+secret=",
    "password": "Planted p@ss:wörd",
    "api key": "Planted-api-key-778899",
    "sql password": "Planted;{sql}%pwd",
    "aws key": "AKIAPLANTEDPLANTED12",
    "aws secret": "PlantedwJalrXUtnFEMI/K7MDENG",
    "cookie": "Planted-cookie-value-1",
    "proxy password": "Planted#proxy!pass",
    "basic": "Planted-basic-pass-9",
    "fernet": "PlantedFernetKey_0123456789=",
}


def _exercise() -> None:
    log = structlog.get_logger()
    foreign = logging.getLogger("some.library")
    for name, secret in PLANTED.items():
        with log_context(note=f"about {secret}"):
            log.debug(
                "exchange", url=f"https://h/x?q={secret}", body=json.dumps({"a": [secret]}), seen=[secret]
            )
            log.info(f"text with {secret}", headers={"X-Some": secret, "k": {secret: 1}}, raw=secret.encode())
            foreign.warning("%s from %r", name, {"value": secret})
            try:
                raise ValueError(secret)
            except ValueError:
                log.exception("failed", error=ValueError(secret))
                foreign.exception("failed with %s", secret)


@pytest.mark.parametrize("as_json", [True, False])
def test_no_planted_secret_reaches_the_log(as_json: bool) -> None:
    for secret in PLANTED.values():
        register_secret(secret)
    stream = io.StringIO()
    configure(level=logging.DEBUG, as_json=as_json, stream=stream)

    _exercise()

    text = stream.getvalue()
    assert len(text.splitlines()) >= 5 * len(PLANTED)
    assert "***" in text
    for secret in PLANTED.values():
        for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(secret.encode())[2:-1]):
            assert spelling not in text


def test_each_event_carries_the_run_and_the_device_as_a_pseudonym() -> None:
    stream = io.StringIO()
    configure(level=logging.INFO, stream=stream)

    with log_context(run_id="0123456789ab"), log_context(iccid=ICCID):
        structlog.get_logger().info("looked up", status=200)
    structlog.get_logger().info("over")

    first, second = _log(stream)
    assert (first["run_id"], first["iccid"], first["status"]) == ("0123456789ab", pseudonym(ICCID), 200)
    assert first["level"] == "info"
    assert "run_id" not in second


def test_the_bound_facts_follow_work_onto_another_thread() -> None:
    stream = io.StringIO()
    configure(level=logging.INFO, stream=stream)
    with log_context(run_id="0123456789ab"):
        work = in_log_context(lambda: structlog.get_logger().info("on a thread"))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert _log(stream)[0]["run_id"] == "0123456789ab"


def test_a_traceback_shows_no_locals() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    local_value = "a local" + " of the frame"
    try:
        raise LookupError("gone")
    except LookupError:
        structlog.get_logger().exception("failed")

    assert local_value not in stream.getvalue()
    assert "LookupError: gone" in str(_log(stream)[0]["exception"])


@pytest.mark.parametrize("as_json", [True, False])
@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8")) | st.text("\x1b[]8;\x07\x9b\u202e\u2066\r\n\x00"))
def test_data_can_neither_break_the_line_nor_drive_the_terminal(as_json: bool, text: str) -> None:
    stream = io.StringIO()
    configure(as_json=as_json, stream=stream)

    structlog.get_logger().warning(
        text or "-", **{"exception": 1, "value": text, "more": {"x": [text]}, f"k{text}": 1}
    )

    line = stream.getvalue().replace("\n    1\n", "\n")
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    assert not any(char < " " or "\x7f" < char < "\xa0" for char in line[:-1])
    assert as_json or printable(line[:-1]) == line[:-1]


def test_an_injected_line_in_an_exception_cannot_pass_for_an_event() -> None:
    stream = io.StringIO()
    configure(as_json=False, stream=stream)
    try:
        raise ValueError("x\n2026-11-23T12:00:00Z error forged")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert [line for line in stream.getvalue().splitlines() if line.startswith("2026-11-23T12:00:00Z")] == []


def test_warnings_of_python_and_of_libraries_are_redacted_too() -> None:
    register_secret("Planted-in-a-warning")
    stream = io.StringIO()
    configure(stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("deprecated: Planted-in-a-warning", stacklevel=1)
    logging.getLogger("botocore").debug("Planted-in-a-warning")

    assert [event["level"] for event in _log(stream)] == ["warning"]
    assert "Planted-in-a-warning" not in stream.getvalue()


def test_libraries_never_log_at_debug() -> None:
    stream = io.StringIO()
    configure(level=logging.DEBUG, stream=stream)
    logging.getLogger("httpcore.http11").debug("send_request_headers.started")
    logging.getLogger("a_library").info("HTTP Request: POST https://h/devices/%s", ICCID)

    assert [event["event"] for event in _log(stream)] == [
        f"HTTP Request: POST https://h/devices/{pseudonym(ICCID)}"
    ]


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    tried: list[str] = []

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            tried.append(text)
            raise BrokenPipeError

    configure(stream=Gone())
    structlog.get_logger().error("nobody reads this")
    logging.getLogger("x").error("nor this")

    assert len(tried) >= 2


def test_the_default_is_stderr_and_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.get_logger().info("not shown")
    structlog.get_logger().warning("shown")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(line)["event"] for line in captured.err.splitlines()] == ["shown"]
    assert sys.stderr.writable()


def test_what_formats_is_loaded_with_the_first_event_and_redacts_it() -> None:
    code = f"""
import logging, sys
from pondctl.telemetry.logger import Logger, start
start(level=logging.WARNING, as_json=True)
Logger().info("not shown")
assert "structlog" not in sys.modules
logging.getLogger("some.library").warning("said %s", "{ICCID}")
Logger().warning("ours", iccid="{ICCID}")
logging.getLogger("some.library").warning("once more")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning"] * 3
    assert [line["event"].split()[0] for line in lines] == ["said", "ours", "once"]
    assert ICCID not in ended.stderr
    assert not ended.stdout
