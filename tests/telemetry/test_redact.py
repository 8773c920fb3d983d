from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pondctl.telemetry.redact import Secrets, redact, redact_event, redact_text, register_secret
from tests.long_form import LONG


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _surrogate_safe(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in a query": lambda text: quote(_surrogate_safe(text), safe=""),
    "in a path": lambda text: quote(_surrogate_safe(text)),
    "in a form": lambda text: quote_plus(_surrogate_safe(text)),
    "lower-case percent": lambda text: re.sub(
        "%..", lambda m: m[0].lower(), quote(_surrogate_safe(text), safe="")
    ),
    "in JSON": _json,
    "in JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in JSON in JSON": lambda text: _json(_json(text)),
    "in a repr": lambda text: repr(text)[1:-1],
    "in an ASCII repr": lambda text: ascii(text)[1:-1],
    "in a repr of bytes": lambda text: repr(_surrogate_safe(text))[2:-1],
    "in hexadecimal": lambda text: _surrogate_safe(text).hex(),
}

secrets = st.text(min_size=4, max_size=40)
neighbours = st.text(max_size=12)


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=1000 if LONG else 150, deadline=None)
@given(secret=secrets, before=neighbours, after=neighbours)
def test_a_registered_secret_is_hidden_however_it_is_spelled(
    spelling: str, secret: str, before: str, after: str
) -> None:
    spelled = SPELLINGS[spelling](secret)
    # What is left must not make up the secret again, which only a secret of such letters could.
    assume(not set(secret) <= set("*\\") and spelled not in before and spelled not in after)
    known = Secrets()
    known.add(secret)

    assert known.hide(spelled) == "***"
    assert spelled not in known.hide(f"{before} {spelled} {after}")


@settings(deadline=None)
@given(secret=secrets.filter(lambda text: len(_surrogate_safe(text)) >= 6), user=neighbours, after=neighbours)
def test_a_registered_secret_is_hidden_inside_base64(secret: str, user: str, after: str) -> None:
    known = Secrets()
    known.add(secret)
    whole = _surrogate_safe(f"{user}:{secret}{after}")

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(whole).decode()
        kept = known.hide(encoded).replace("***", "")
        # Two characters may each hold some bits of a neighbour, and stay.
        assert len(kept) <= len(encoded) - (8 * len(_surrogate_safe(secret)) // 6 - 1)


@settings(deadline=None)
@given(st.recursive(st.none() | st.text() | st.integers() | st.floats() | st.binary(), st.lists))
def test_whatever_is_logged_becomes_plain_data(value: object) -> None:
    assert json.loads(json.dumps(redact({"value": value}))).keys() == {"value"}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("headers={'authorization': 'Bearer 0f1e2d3c', 'x': 1}", "0f1e2d3c"),
        ('{"VZ-M2M-Token": "d0c5-11"}', "d0c5-11"),
        ("VZ-M2M-Token: d0c5-11", "d0c5-11"),
        ("Cookie: session=abc1; other=def2", "def2"),
        ("GET https://host/x?api_key=abc1&page=2", "abc1"),
        ("proxy http://ann:abc1@proxy:3128/", "abc1"),
        ("mssql+pyodbc://sa:abc%401@db/iot", "abc%401"),
        ("DRIVER=x;SERVER=h;UID=sa;PWD={ab;c1};Encrypt=yes", "ab;c1"),
        ("odbc_connect=UID%3Dsa%3BPWD%3Dabc1%3BEncrypt%3Dyes", "abc1"),
        ('{"body": "{\\"password\\": \\"ab \\\\\\"c1\\"}"}', "ab "),
        ("x-api-key=abc1", "abc1"),
        ("AWS AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
        ("X-Amz-Signature=abc1&x=1", "abc1"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("client_secret: abc1", "abc1"),
        ("password: hunter2", "hunter2"),
        ("thingspace.password: hunter2 is wrong", "hunter2"),
        ("password: others", "others"),
        ("thingspace.password: the file /x: password=abc1", "abc1"),
    ],
)
def test_what_is_secret_by_its_place_or_shape_is_hidden_without_being_known(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact_text(text)
    assert "***" in redact_text(text)


ORDINARY = [
    "basic information about bearer renewal",
    "2026-11-23T12:00:00.123456Z looked up 2000 devices in 1.234 s",
    "GET https://thingspace.verizon.com/api/m2m/v1/devices/actions/list?page=2",
    "run 0123456789ab0123456789ab01234567 of account 0000123456-00001",
    "the token was renewed, the password was refused",
    "thingspace.password: others can read /etc/pondctl/secret",
    "pond.api_key: the environment variable POND_KEY is not set",
    "thingspace.client_secret: the file /run/secret cannot be read: No such file or directory",
    "pond.api_key: the keyring is not available here (NoKeyringError)",
]


def test_ordinary_text_stays_as_it_is() -> None:
    # In a process of its own: in this one any word may be a secret that another test has made known.
    program = (
        "import json, sys; from pondctl.telemetry.redact import redact_text; "
        "print(json.dumps([redact_text(text) for text in json.load(sys.stdin)]))"
    )
    words = [sys.executable, "-c", program]
    ended = subprocess.run(words, input=json.dumps(ORDINARY), capture_output=True, text=True, check=True)

    assert json.loads(ended.stdout) == ORDINARY


def test_values_under_a_telling_key_are_hidden_whatever_they_are() -> None:
    event = {
        "password": 12345,
        "client_secret": ["a"],
        "Authorization": {"a": "b"},
        "api_key": b"abc",
        "session": "s1",
        "nested": {"VZ-M2M-Token": "t1"},
        "token_expires_in": 3600,
        "password_given": True,
        "token": None,
    }

    assert redact_event(None, "info", event) == {
        "password": "***",
        "client_secret": "***",
        "Authorization": "***",
        "api_key": "***",
        "session": "***",
        "nested": {"VZ-M2M-Token": "***"},
        "token_expires_in": 3600,
        "password_given": True,
        "token": None,
    }


class _Word(StrEnum):
    PENDING = "pending activation"


@dataclass(frozen=True)
class _Login:
    user: str
    key: str


class _Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_objects_are_shown_by_their_redacted_repr() -> None:
    register_secret("Planted-In-A-Repr-1")

    shown = redact({"word": _Word.PENDING, "login": _Login("ann", "Planted-In-A-Repr-1"), "bad": _Broken()})

    assert shown == {
        "word": "pending activation",
        "login": "_Login(user='ann', key='***')",
        "bad": "<_Broken>",
    }


def test_a_registered_number_is_hidden_as_number_too() -> None:
    register_secret("86420975")

    assert redact({"pin": 86420975, "pins": [86420975], "rows": 1000}) == {
        "pin": "***",
        "pins": ["***"],
        "rows": 1000,
    }


@pytest.mark.parametrize(
    "text",
    ["\\" * 20_000, ("password" + "\\" * 500) * 40, "8" * 50_000, "89 1 2 " * 8_000, "://" * 20_000,
     '"' * 50_000, "+1 2" * 15_000, "(201" * 15_000, "password:" * 5_000, "A" * 50_000],
)  # fmt: skip
def test_no_text_makes_the_redactor_slow(text: str) -> None:
    register_secret('"Planted \\ beside quotes"')
    begin = time.process_time()

    redact_text(text)

    assert time.process_time() - begin < 2
