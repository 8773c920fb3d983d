from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.telemetry.identifiers import bind_device_keys, bind_key, hide_identifiers, pseudonym, stored_key
from pondctl.telemetry.redact import redact

KEY = b"k" * 32
ICCID = "89148000001234567898"
digits = st.text("0123456789", min_size=16, max_size=20)


@pytest.fixture(autouse=True)
def _known_key() -> Iterator[None]:
    bind_key(KEY)
    bind_device_keys(None)
    yield
    bind_key(stored_key)


@pytest.fixture
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "pondctl"


@settings(deadline=None)
@given(
    digits,
    st.sampled_from(["{}", "iccid={}", "ICCID{}", '"{}"', "{}F", "%20{}", "/devices/{}/", "{}\n", "x{}y"]),
)
def test_no_iccid_is_left_in_any_text(tail: str, around: str) -> None:
    iccid = "89" + tail

    shown = hide_identifiers(around.format(iccid))

    assert iccid not in shown
    assert "dev:" in shown


@pytest.mark.parametrize(
    "spelling",
    [ICCID, f"{ICCID}F", f"{ICCID}f", "8914 8000 0012 3456 7898", "8914-8000-0012-3456-7898",
     "".join(chr(ord(digit) + 0xFEE0) for digit in ICCID)],
)  # fmt: skip
def test_one_device_has_one_pseudonym_however_it_is_written(spelling: str) -> None:
    assert hide_identifiers(f"device {spelling}.") == f"device {pseudonym(ICCID)}."


@pytest.mark.parametrize(
    "number", ["2015550123", "12015550123", "+12015550123", "+1 201-555-0123", "(201) 555-0123",
               "201.555.0123", "310150123456789", "490154203237518", "+49 30 901820 12"],
)  # fmt: skip
def test_telephone_numbers_imsi_and_imei_are_hidden(number: str) -> None:
    shown = hide_identifiers(f"from {number}, to {number}")

    assert number not in shown
    assert shown.count("dev:") == 2
    assert not any(len(word) > 3 for word in shown.split() if word.isdigit())


def test_two_numbers_side_by_side_are_both_hidden() -> None:
    shown = hide_identifiers("+12015550123 2015550124 +1 201-555-0125 (201) 555-0126 89148000001234567898 42")

    assert shown.count("dev:") == 5
    assert "555" not in shown
    assert shown.endswith(f"{pseudonym(ICCID)} 42")


def test_the_pseudonym_is_a_keyed_hash_and_differs_with_the_key() -> None:
    first = pseudonym(ICCID)
    mac = hmac.digest(KEY, ICCID.encode(), "sha256")
    bind_key(b"another key")

    assert len(first) == len("dev:xxxxxxxx")
    assert int.from_bytes(mac[:5]) == int.from_bytes(_base32(first.removeprefix("dev:")))
    assert pseudonym(ICCID) != first


def _base32(text: str) -> bytes:
    import base64

    return base64.b32decode(text.upper())


def test_values_under_the_name_of_an_identifier_are_hidden_even_if_they_look_like_none() -> None:
    shown = redact({"iccid": "not-a-number", "msisdn": 42, "newIccid": "x1", "bulk_change_id": 12345678901})

    assert shown == {
        "iccid": pseudonym("not-a-number"),
        "msisdn": pseudonym("42"),
        "newIccid": pseudonym("x1"),
        "bulk_change_id": 12345678901,
    }


def test_a_run_id_that_happens_to_be_all_digits_stays_readable() -> None:
    assert redact({"run_id": "123456789012"}) == {"run_id": "123456789012"}


def test_the_stored_key_is_made_once_and_only_its_owner_can_read_it(state_folder: Path) -> None:
    first = stored_key()

    file = state_folder / "pseudonym.key"
    assert stored_key() == first == file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(state_folder.iterdir()) == [file]


def test_a_key_that_others_could_read_is_not_used(state_folder: Path) -> None:
    first = stored_key()
    (state_folder / "pseudonym.key").chmod(0o644)

    assert stored_key() != first


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_where_nothing_can_be_kept_the_key_lives_as_long_as_the_process(state_folder: Path) -> None:
    state_folder.parent.chmod(0o500)

    assert stored_key() != stored_key()


def test_the_key_is_asked_for_at_the_first_identifier_only() -> None:
    asked = []
    bind_key(lambda: asked.append(1) or KEY)

    assert hide_identifiers("nothing to hide") == "nothing to hide"
    assert not asked
    assert hide_identifiers(ICCID) == hide_identifiers(ICCID)
    assert len(asked) == 1
