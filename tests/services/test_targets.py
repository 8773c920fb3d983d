"""Target files as people and spreadsheets write them: every line is used, or named."""

from __future__ import annotations

import io
import string
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.errors import ExitCode, UsageError
from pondctl.models import normalize_iccid
from pondctl.services.targets.targets import SkippedLine, Target, Targets, read_targets

ONE = "8910300000000000005"
TWO = "8910300000000000013"
THREE = "89148000001234567899"

iccids = st.from_regex(r"89[0-9]{16,20}", fullmatch=True)


def read(text: str | bytes, *, skip_invalid: bool = False) -> Targets:
    content = text.encode() if isinstance(text, str) else text
    return read_targets([], "-", io.BytesIO(content), skip_invalid)


def found(text: str | bytes) -> list[str]:
    return [target.iccid for target in read(text)]


def refused(text: str | bytes, *, skip_invalid: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        read(text, skip_invalid=skip_invalid)
    assert caught.value.exit_code is ExitCode.USAGE
    return f"{caught.value.message} | {caught.value.hint}"


def test_arguments_are_targets_without_a_line() -> None:
    targets = read_targets([ONE, "8910-3000-0000-0000-013F"], None, io.BytesIO())

    assert list(targets) == [Target(ONE), Target(TWO)]


def test_an_argument_that_is_no_iccid_is_usage_and_is_named() -> None:
    with pytest.raises(UsageError, match="'12345' is no ICCID"):
        read_targets([ONE, "12345"], None, io.BytesIO(), skip_invalid=True)


def test_an_argument_that_excel_rounded_is_named_as_such() -> None:
    with pytest.raises(UsageError, match="last digits are lost"):
        read_targets(["8.9E+19"], None, io.BytesIO())


def test_arguments_and_a_file_together_are_usage() -> None:
    with pytest.raises(UsageError, match="not both"):
        read_targets([ONE], "-", io.BytesIO())


def test_no_target_at_all_is_usage() -> None:
    with pytest.raises(UsageError, match="no device is named"):
        read_targets([], None, io.BytesIO())


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# nothing yet\n", "ICCID\n", "Name;ICCID\n;\n", b"\xef\xbb\xbf"]
)
def test_an_empty_list_is_usage(text: str | bytes) -> None:
    assert "standard input holds no ICCID" in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"{ONE}\n{TWO}",
        f"{ONE}\r\n{TWO}\r\n",
        f"{ONE}\r{TWO}\r",
        f"\n  {ONE}  \n\n\t{TWO}\n",
        f"# from the store room\n{ONE}  # the lab's\n#{THREE}\n{TWO}\n",
        f"\"{ONE}\"\n'{TWO}'\n",
        f'="{ONE}"\n\'{TWO}\n',
        f"{ONE[:4]} {ONE[4:]}\n{TWO[:4]}-{TWO[4:]}F\n",
        f"ICCID\n{ONE}\n{TWO}\n",
        f' "Iccid" \n"{ONE}"\n{TWO}\n',
        f"\ufeff{ONE}\n{TWO}\n",
        f"Name,ICCID\nfirst,{ONE}\nsecond,{TWO}\n",
        f"iccid ;Name, first;Note\n{ONE};a,b;\n{TWO};;\n",
        f"SIM ICCID;Name, first\n{ONE};a\n{TWO};b\n",
        f"No\teICCID\tICCID\n1\tx\t{ONE}\n2\ty\t{TWO}\n",
        f"sep=;\nName;ICCID\nx;{ONE}\n;{TWO}\n",
        f'Name,ICCID\n"a, ""b""","{ONE}"\n\n,,\n"two\nlines",{TWO}\n',
        f"ICCID,Name\n{ONE},a\n# {THREE},b\n{TWO},c\n",
        f"No,ICCID\n1,{ONE}\n# the rest, later\n2,{TWO}\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_lists_and_csv_files_are_read_however_they_were_saved(text: str, encoding: str) -> None:
    assert found(text.encode(encoding)) == [ONE, TWO]


def test_bytes_that_are_no_utf8_in_another_column_do_no_harm() -> None:
    assert found(f"Käufer;ICCID\nMüller;{ONE}\n".encode("cp1252")) == [ONE]


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    targets = read(f'# head\nNote,ICCID\n"two\nlines",{ONE}\n\nx,{TWO}\n')

    assert list(targets) == [Target(ONE, 3), Target(TWO, 6)]


def test_a_device_named_twice_is_taken_once_with_a_note() -> None:
    targets = read(f"{THREE}\n{THREE}\n{ONE}\n{THREE}F\n")

    assert [target.iccid for target in targets] == [THREE, ONE]
    assert f"2 ICCIDs named more than once, and taken once: {THREE}, {THREE}" in targets.warnings


def test_a_wrong_check_digit_warns_and_refuses_nothing() -> None:
    targets = read("\n".join(f"89103000000000000{n:02d}" for n in range(50)))

    assert len(targets) == 50
    assert any("45 ICCIDs with a check digit that does not fit" in text for text in targets.warnings)


def test_digits_that_a_spreadsheet_replaced_by_zeros_warn() -> None:
    targets = read("8914800000123450000\n")

    assert any("nothing but 0 after the 15th digit" in text for text in targets.warnings)


@pytest.mark.parametrize("number", ["8.9E+19", "8,9E+19", "8.91030000000E+18", "8.9e19"])
@pytest.mark.parametrize("template", ["{one}\n{number}\n", "{number}\n{one}\n", "Name;ICCID\nx;{number}\n"])
def test_a_number_that_excel_rounded_is_named_by_its_line(number: str, template: str) -> None:
    text = template.format(one=ONE, number=number)
    line = text.split("\n").index(next(row for row in text.split("\n") if number in row)) + 1

    message = refused(text)

    assert f"line {line} {number!r}: a number that a spreadsheet has rounded" in message
    assert "format Text" in message


def test_three_bad_lines_of_ten_thousand_are_named_and_nothing_is_started() -> None:
    lines = [f"8910300{n:012d}" for n in range(10_000)]
    lines[16], lines[4_999], lines[9_999] = "891", "not one", "8.9E+19"

    message = refused("\n".join(lines))

    assert "3 of 10,000 lines of standard input cannot be used, nothing was started" in message
    assert [part in message for part in ("line 17 '891'", "line 5000 'not one'", "line 10000 '8.9E+19'")]


def test_twenty_bad_lines_are_named_and_the_rest_is_counted() -> None:
    message = refused(f"{ONE}\n" + "\n".join(f"bad{n}" for n in range(25)))

    assert message.count("line ") == 20
    assert "; and 5 more" in message


def test_bad_lines_are_handed_back_when_they_may_be_skipped() -> None:
    targets = read(f"No,ICCID\n1,{ONE}\n2,891\n3,\n4\n", skip_invalid=True)

    assert list(targets) == [Target(ONE, 2)]
    assert [(bad.line, bad.text) for bad in targets.skipped] == [(3, "891"), (4, ""), (5, "")]
    assert targets.skipped[0] == SkippedLine(3, "891", "no ICCID: 89 and 16 to 20 more digits are needed")
    assert "3 lines left out (--skip-invalid)" in targets.warnings


def test_a_list_of_nothing_but_bad_lines_is_usage_also_when_they_may_be_skipped() -> None:
    assert "holds no ICCID" in refused("a\nb\n", skip_invalid=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"Name,Number\nx,{ONE}\n", "no column named ICCID"),
        (f"Old ICCID,New ICCID\n{ONE},{TWO}\n", "more than one ICCID column"),
        (f"{ONE},x\n{TWO},y\n", "several columns, but no header"),
        (f'No,ICCID\n1,"{ONE}\n2,{TWO}\n', "line 2 of standard input: a quotation mark"),
        (f'No,ICCID\n1,"{ONE}"x\n2,{TWO}\n', "line 2 of standard input: a quotation mark"),
        (f'No,ICCID\n1,{ONE}\n"2,{TWO}\n3,{THREE}",{ONE}\n', "lines 3 to 4 of standard input are one quoted"),
        (f"#,ICCID\n1,{ONE}\n", "several columns, but no header"),
        (f"No,ICCID\n#1,{ONE}\n", "begins with # like a comment, but names a number"),
        (b"PK\x03\x04rest", "a spreadsheet or archive"),
        (b"\x1f\x8brest", "compressed"),
        (f"{ONE}\n".encode() + b"\0\1\2", "no text file"),
        (f"{ONE}\n".encode("utf-16-le"), "no text file"),
        (f"{ONE}\n" + "9" * 200_000, "line 2 of standard input is longer than"),
        ("9" * 5_000_000, "line 1 of standard input is longer than"),
        (f"No,ICCID\n1,{ONE}\n" + '2,"x\n' * 40_000, "a quotation mark is not closed"),
        ("x\n" * 100_001, "no list of devices"),
    ],
)
def test_a_file_that_is_no_list_of_devices_is_refused_with_the_reason(text: str | bytes, words: str) -> None:
    assert words in refused(text, skip_invalid=words == "no list of devices")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv cannot be read: No such file"):
        read_targets([], str(tmp_path / "nowhere.csv"), io.BytesIO())


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_targets([], str(tmp_path), io.BytesIO())


def test_a_file_name_with_nul_is_refused() -> None:
    with pytest.raises(UsageError):
        read_targets([], "a\0b", io.BytesIO())


def test_a_file_that_cannot_be_read_to_its_end_is_refused() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(UsageError, match="standard input cannot be read: Input/output error"):
        read_targets([], "-", Broken())


def test_a_file_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(f"{ONE}\n".encode("utf-16"))

    assert list(read_targets([], str(tmp_path / "list.csv"), io.BytesIO())) == [Target(ONE, 1)]


def test_targets_are_a_sequence() -> None:
    targets = read(f"{ONE}\n{TWO}\n{THREE}\n")

    assert (len(targets), targets[-1]) == (3, Target(THREE, 3))
    assert targets[1:] == [Target(TWO, 2), Target(THREE, 3)]
    with pytest.raises(IndexError):
        targets[3]


@pytest.mark.scale
def test_many_devices_take_little_memory() -> None:
    content = "".join(f"8910300{n:012d}\n" for n in range(16_000)).encode()
    tracemalloc.start()
    try:
        targets = read(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(targets) == 16_000
    # As a list of text alone it would be more.
    assert peak < 1 << 20


@settings(deadline=None, max_examples=40)
@given(st.lists(iccids, min_size=1, max_size=20), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_was_listed_comes_out_once_and_in_order(listed: list[str], end: str) -> None:
    assert found(end.join(listed)) == list(dict.fromkeys(listed))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(string.printable), iccids), min_size=1, max_size=20),
    st.sampled_from([",", ";", "\t"]),
)
def test_no_neighbouring_cell_can_move_or_hide_a_device(rows: list[tuple[str, str]], delimiter: str) -> None:
    def quoted(text: str) -> str:
        doubled = text.replace('"', '""')
        return f'"{doubled}"'

    text = "\n".join(
        [f"ICCID{delimiter}Note", *(f"{iccid}{delimiter}{quoted(note)}" for note, iccid in rows)]
    )

    assert found(text) == list(dict.fromkeys(iccid for _, iccid in rows))


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet=string.printable + "\ufeff\0é").map(str.encode))
def test_any_bytes_give_targets_or_usage(content: bytes) -> None:
    try:
        targets = read(content, skip_invalid=True)
    except UsageError:
        return
    assert all(normalize_iccid(target.iccid) == target.iccid for target in targets)
