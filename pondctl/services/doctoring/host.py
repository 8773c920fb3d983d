"""Probes of this machine: the settings and their files, disks, the metrics file. Writes nothing."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pondctl.config import Secret, Settings, leaves
from pondctl.errors import ConfigurationError, ExitCode, PondctlError
from pondctl.services.doctoring.found import Found, finding, note, of_error, ok, warning
from pondctl.telemetry import notify

_LITTLE: Final = 1024**3
_NOTHING: Final = 100 * 1024**2
_CARRIERS: Final = {
    "thingspace": ("client_id", "client_secret", "username", "password"),
    "pond": ("base_url", "distributor_id", "api_key"),
}
_TELLING: Final = {"thingspace": "client_id", "pond": "base_url"}


def ask_settings(settings: Settings) -> Iterator[Found]:
    """The file and its mode, what is missing, and whether every secret can be read."""
    yield ok(f"profile {settings.profile}, {settings.file or 'no file: environment and defaults'}")
    yield from _file_mode(settings.file)
    for text in settings.warnings:
        yield warning(text, "sudo chown root FILE && sudo chmod 644 FILE")
    for section, names in _CARRIERS.items():
        missing = [f"{section}.{name}" for name in names if not settings.value_of(f"{section}.{name}")]
        if not settings.value_of(f"{section}.{_TELLING[section]}"):
            yield note(f"{section} is not configured")
        elif missing:
            remedy = "set them; `pondctl config show` prints what is set and where it comes from"
            yield finding(f"not set: {', '.join(missing)}", remedy, ExitCode.USAGE)
    yield from _secrets(settings)
    yield from _channels(settings)


def _file_mode(file: str | None) -> Iterator[Found]:
    if file is not None and os.name == "posix":
        mode = stat.S_IMODE(Path(file).stat().st_mode)
        if mode & 0o077:
            yield warning(f"others may read or write {file} (mode {mode:o})", f"chmod 600 {file}")


def _secrets(settings: Settings) -> Iterator[Found]:
    read = 0
    for key in leaves():
        value = settings.value_of(key)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Secret) and each:
                try:
                    each.reveal()
                    read += 1
                except PondctlError as error:
                    yield of_error(error)
    yield ok(f"{read} secrets can be read")


def _channels(settings: Settings) -> Iterator[Found]:
    """Whether notifications could go out; none is sent."""
    if not settings.telemetry.notify:
        return
    try:
        urls = [url.reveal() for url in settings.telemetry.notify]
        unreadable = notify.check_channels(urls)
    except ConfigurationError as error:
        yield of_error(error)
        return
    for kind in unreadable:
        remedy = "see the list of services in Apprise's documentation"
        yield finding(f"telemetry.notify: a channel ({kind}) is no URL of Apprise", remedy, ExitCode.USAGE)
    if not unreadable:
        yield ok(f"notifications go to: {', '.join(sorted(map(notify.kind_of, urls)))}")


def ask_disks(settings: Settings, database_file: Path | None) -> Iterator[Found]:
    """Room where pondctl writes."""
    places = {"the folder for temporary files": Path(tempfile.gettempdir())}
    if database_file is not None:
        places["the folder of the database"] = database_file.parent
    if settings.telemetry.metrics_file:
        places["the folder of the metrics file"] = _metrics_file(settings).parent
    for what, folder in places.items():
        if not folder.is_dir():
            continue
        free = shutil.disk_usage(folder).free
        message = f"{what} ({folder}) has {free / 1024**2:,.0f} MiB left"
        if free < _NOTHING:
            yield finding(message, "make room: runs end early on a full disk", ExitCode.UNAVAILABLE)
        elif free < _LITTLE:
            yield warning(message, "make room before it is full")
        else:
            yield ok(message)


def ask_files(settings: Settings) -> Iterator[Found]:
    """The files beside the database: metrics, and the key of pseudonyms."""
    if settings.telemetry.metrics_file:
        yield _metrics(_metrics_file(settings))
    if not settings.telemetry.pseudonym_key:
        yield _pseudonym_key()


def _metrics(path: Path) -> Found:
    if not path.parent.is_dir():
        return finding(f"there is no folder {path.parent} for the metrics file", f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        remedy = f"let this user write in {path.parent}, or set telemetry.metrics_file to another place"
        return finding(f"the metrics file cannot be written in {path.parent}", remedy)
    return ok(f"the metrics file can be written in {path.parent}")


def _pseudonym_key() -> Found:
    from platformdirs import user_state_path

    folder = user_state_path("pondctl")
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    if (folder / "pseudonym.key").is_file() or os.access(there, os.W_OK):
        return ok(f"the key of the pseudonyms in logs is kept in {folder}")
    return warning(
        f"{there} cannot be written: each process logs devices under other pseudonyms",
        "set telemetry.pseudonym_key, or give this user a state folder (XDG_STATE_HOME)",
    )


def _metrics_file(settings: Settings) -> Path:
    return Path(settings.telemetry.metrics_file).expanduser()
