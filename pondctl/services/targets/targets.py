"""Which devices a command is meant for: ICCIDs from the command line or from a file, checked as a whole."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, overload

from pondctl.errors import UsageError
from pondctl.models import luhn_holds, normalize_iccid
from pondctl.services.targets.lines import Cell, looks_rounded, read_cells, unwrap
from pondctl.services.targets.store import PackedIccids

_NAMED_LINES: Final = 20
_NAMED_RUNS: Final = 200
_NAMED_ICCIDS: Final = 3
# Above this a file is something else than a list of devices.
_MOST_SKIPPED: Final = 100_000
_SHOWN_CHARS: Final = 40
_EXCEL_DIGITS: Final = 15

NO_ICCID: Final = "no ICCID: 89 and 16 to 20 more digits are needed"
EXCEL_NUMBER: Final = "a number that a spreadsheet has rounded: its last digits are lost"


@dataclass(frozen=True, slots=True)
class Target:
    """One device to work on, as its ICCID is sent; `line` where it came from a file."""

    iccid: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A line that `--skip-invalid` leaves out: its text (cut) and what is wrong with it."""

    line: int
    text: str
    reason: str


class Targets(Sequence[Target]):
    """Distinct devices in the order given. A million of them take 15 MB: no object is kept for each."""

    def __init__(
        self, iccids: PackedIccids, lines: array[int], warnings: Sequence[str], skipped: Sequence[SkippedLine]
    ) -> None:
        self._iccids = iccids
        self._lines = lines
        self.warnings = tuple(warnings)
        self.skipped = tuple(skipped)

    def __len__(self) -> int:
        """How many devices."""
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Target: ...
    @overload
    def __getitem__(self, index: slice) -> list[Target]: ...
    def __getitem__(self, index: int | slice) -> Target | list[Target]:
        """One device, or those of a slice."""
        if isinstance(index, slice):
            return [self._at(at) for at in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    def _at(self, index: int) -> Target:
        return Target(self._iccids[index], self._lines[index] or None)


def read_targets(
    iccids: Sequence[str], from_file: str | None, stdin: BinaryIO, skip_invalid: bool = False
) -> Targets:
    """Return the devices named on the command line, or in `from_file` (`-`: stdin).

    Raises `UsageError` where there are none, where both are given, and where an argument or a line
    is no ICCID; `skip_invalid` leaves such lines (not arguments) out and hands them back.
    """
    if iccids and from_file is not None:
        raise UsageError("name ICCIDs or a file with --from, not both")
    if from_file is None:
        return _of_arguments(iccids)
    name = "standard input" if from_file == "-" else from_file
    gathered = _Gathered()
    try:
        with nullcontext(stdin) if from_file == "-" else _open(from_file) as stream:
            for cell in read_cells(stream, name):
                gathered.take(cell)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error
    if gathered.bad_count and not skip_invalid:
        raise _bad_lines(gathered, name)
    if gathered.bad_count > _MOST_SKIPPED:
        raise UsageError(f"{gathered.bad_count:,} lines of {name} are no ICCID: that is no list of devices")
    return gathered.finish(f"{name} holds no ICCID")


def _open(path: str) -> BinaryIO:
    if "\0" in path:
        raise UsageError("a file name cannot hold NUL")
    return Path(path).open("rb")


def _of_arguments(iccids: Sequence[str]) -> Targets:
    gathered = _Gathered()
    for text in iccids:
        gathered.take(Cell(0, unwrap(text)))
    if gathered.bad_count:
        named = "; ".join(f"{bad.text!r} is {bad.reason}" for bad in gathered.bad[:_NAMED_LINES])
        raise UsageError(f"{named}{_more(gathered.bad_count)}")
    return gathered.finish("no device is named")


class _Gathered:
    """Takes cells one after the other, and remembers little of each."""

    def __init__(self) -> None:
        self.bad: list[SkippedLine] = []
        self.bad_count = 0
        self.read_count = 0
        self._iccids = PackedIccids()
        self._lines = array("I")
        self._repeated = _Some()
        self._odd_check_digit = _Some()
        self._looks_rounded = _Some()

    def take(self, cell: Cell) -> None:
        """Keep the ICCID of a cell, or what is wrong with it."""
        self.read_count += 1
        iccid = None if cell.problem else normalize_iccid(cell.text)
        if iccid is None:
            self.bad_count += 1
            if len(self.bad) < _MOST_SKIPPED:
                shown = cell.text[:_SHOWN_CHARS]
                self.bad.append(SkippedLine(cell.line, shown, cell.problem or _complaint(cell.text)))
        elif not self._iccids.add(iccid):
            self._repeated.add(iccid)
        else:
            self._lines.append(cell.line)
            if not luhn_holds(iccid):
                self._odd_check_digit.add(iccid)
                if not iccid[_EXCEL_DIGITS:].strip("0"):
                    self._looks_rounded.add(iccid)

    def finish(self, when_empty: str) -> Targets:
        """All devices; `UsageError` where there are none."""
        if not self._lines:
            raise UsageError(when_empty, hint="give ICCIDs, --from FILE, or --bulk-change ID")
        sentences = [
            self._repeated.tell("named more than once, and taken once"),
            self._odd_check_digit.tell("with a check digit that does not fit (Luhn)"),
            self._looks_rounded.tell("with nothing but 0 after the 15th digit, as a spreadsheet leaves them"),
            f"{self.bad_count:,} lines left out (--skip-invalid)" if self.bad_count else "",
        ]
        return Targets(self._iccids, self._lines, [s for s in sentences if s], self.bad)


class _Some:
    """A count, and the first few it counted."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[str] = []

    def add(self, iccid: str) -> None:
        self._count += 1
        if self._count <= _NAMED_ICCIDS:
            self._first.append(iccid)

    def tell(self, what: str) -> str:
        if not self._count:
            return ""
        more = ", …" if self._count > _NAMED_ICCIDS else ""
        plural = "" if self._count == 1 else "s"
        return f"{self._count:,} ICCID{plural} {what}: {', '.join(self._first)}{more}"


def _complaint(text: str) -> str:
    if not text:
        return "empty where the ICCID should be"
    return EXCEL_NUMBER if looks_rounded(text) else NO_ICCID


def _bad_lines(gathered: _Gathered, name: str) -> UsageError:
    named = "; ".join(f"line {bad.line} {bad.text!r}: {bad.reason}" for bad in gathered.bad[:_NAMED_LINES])
    rounded = any(bad.reason is EXCEL_NUMBER for bad in gathered.bad)
    return UsageError(
        f"{gathered.bad_count:,} of {gathered.read_count:,} lines of {name} cannot be used, "
        f"nothing was started: {named}{_more(gathered.bad_count)}{_numbers(gathered.bad)}",
        hint="give the column the format Text in the spreadsheet and export it again from the source"
        if rounded
        else "mend them, or leave them out with --skip-invalid",
    )


def _more(count: int) -> str:
    return f"; and {count - _NAMED_LINES:,} more" if count > _NAMED_LINES else ""


def _numbers(bad: Sequence[SkippedLine]) -> str:
    """The numbers of the lines that are not spelled out, neighbours together."""
    runs: list[list[int]] = []
    for each in bad[_NAMED_LINES:]:
        if runs and each.line == runs[-1][1] + 1:
            runs[-1][1] = each.line
        else:
            runs.append([each.line, each.line])
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in runs[:_NAMED_RUNS]]
    rest = ", …" if len(runs) > _NAMED_RUNS else ""
    return f", lines {', '.join(shown)}{rest}" if shown else ""
