"""The program: its commands, its root options, and the only place where an error becomes an exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from typing import Annotated, Literal, NamedTuple, NoReturn

import typer

from pondctl import __version__
from pondctl.commands import (
    activate,
    audit,
    bulk,
    config,
    db,
    dead_letter,
    demo,
    device,
    doctor,
    ingest,
    reconcile,
    report,
    resume,
    retry_failed,
    runs,
    sandbox,
    status,
    suspend,
    sync_bulk,
    terminate,
    watch,
    worker,
)
from pondctl.commands._everywhere import ConfigFile, DebugHttp, Profile, Quiet, Verbose, with_shared_options
from pondctl.context import AppContext
from pondctl.errors import ExitCode, PondctlError, UnavailableError, UsageError
from pondctl.signals import stopping_on_signals

_SAID_ENOUGH: dict[type[BaseException], ExitCode] = {
    typer.Abort: ExitCode.DECLINED,  # the end of input at a prompt
    KeyboardInterrupt: ExitCode.SIGINT,
    SystemExit: ExitCode.OK,  # completion, or a help page whose reader went away
}
# Not in the panel Work, but it goes on with what was begun there.
_WORK_TOO = ("runs resume",)
_STREAM_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Entry(NamedTuple):
    """A line of the table of commands: its panel in the help, its name, its function or its group."""

    panel: Literal["Work", "Look", "Operate", "Try"]
    name: str
    target: Callable[..., None] | typer.Typer


# The order here is the order in the help.
COMMANDS: tuple[Entry, ...] = (
    Entry("Work", "sync-bulk", sync_bulk.sync_bulk),
    Entry("Work", "activate", activate.activate),
    Entry("Work", "suspend", suspend.suspend),
    Entry("Work", "resume", resume.resume),
    Entry("Work", "terminate", terminate.terminate),
    Entry("Work", "retry-failed", retry_failed.retry_failed),
    Entry("Work", "reconcile", reconcile.reconcile),
    Entry("Work", "ingest", ingest.ingest),
    Entry("Work", "worker", worker.worker),
    Entry("Look", "status", status.status),
    Entry("Look", "bulk", bulk.app),
    Entry("Look", "watch", watch.watch),
    Entry("Look", "device", device.app),
    Entry("Look", "runs", runs.app),
    Entry("Operate", "dead-letter", dead_letter.app),
    Entry("Operate", "doctor", doctor.doctor),
    Entry("Operate", "report", report.app),
    Entry("Operate", "audit", audit.app),
    Entry("Operate", "config", config.app),
    Entry("Operate", "db", db.app),
    Entry("Try", "demo", demo.demo),
    Entry("Try", "sandbox", sandbox.app),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pondctl {__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    *,
    profile: Profile = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    debug_http: DebugHttp = False,
    log_format: Annotated[
        Literal["auto", "console", "json"],
        typer.Option(help="How logs are written; auto: for people on a terminal, JSON elsewhere."),
    ] = "auto",
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Bring device-status bulk changes to their end over ThingSpace and POND."""
    app: AppContext = ctx.obj
    app.choose(profile=profile, config=config, verbose=verbose, quiet=quiet, debug_http=debug_http)
    app.log_format = log_format


def build(commands: Sequence[Entry]) -> typer.Typer:
    """Return the Typer app of these commands; called with `obj=AppContext()`."""
    cli = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_exit_codes(),
    )
    cli.callback()(_root)
    for panel, name, target in commands:
        if isinstance(target, typer.Typer):
            cli.add_typer(_with_shared_options(target), name=name, rich_help_panel=panel)
        else:
            # A nameless app of one command, because Typer lists groups after all plain commands.
            single = typer.Typer()
            single.command(name, rich_help_panel=panel)(with_shared_options(target))
            cli.add_typer(single)
    return cli


def _with_shared_options(group: typer.Typer) -> typer.Typer:
    """Return a copy: the group itself may be built again, and must not take the options twice."""
    ready = copy(group)
    ready.registered_commands = [copy(info) for info in group.registered_commands]
    for info in ready.registered_commands:
        if info.callback:
            info.callback = with_shared_options(info.callback)
    return ready


def main(arguments: Sequence[str] | None = None, *, commands: Sequence[Entry] = COMMANDS) -> NoReturn:
    """Run the program and exit with the code that `pondctl --help` explains."""
    # A page of 2,000 devices is 80,000 objects and no garbage: looked through for it at Python's own
    # intervals, it takes three times as long to read.
    gc.set_threshold(50_000, 20, 100)
    # Or the interpreter looks for garbage in everything once more, just before it gives all of it back.
    atexit.register(gc.freeze)
    words = list(sys.argv[1:] if arguments is None else arguments)
    app = AppContext()
    with stopping_on_signals(app.request_stop, lambda: app.stops_in_order) as caught:
        code = _run(build(_needed(commands, words)), words, app)
        # Typer makes 130 of every KeyboardInterrupt, whichever signal raised it.
        code = 128 + caught[0] if caught and code == ExitCode.SIGINT else code
        with suppress(Exception, KeyboardInterrupt):  # what there was to tell is told
            if _works(app.command, commands):
                app.tell_end(code)
        with suppress(Exception, KeyboardInterrupt):
            app.close()
    sys.exit(_flushed(code))


def _works(command: str, commands: Sequence[Entry]) -> bool:
    """Whether the command is one whose ending matters to alerts and metrics."""
    name = command.partition(" ")[0]
    return command in _WORK_TOO or any(entry.panel == "Work" and entry.name == name for entry in commands)


def _needed(commands: Sequence[Entry], words: Sequence[str]) -> Sequence[Entry]:
    """Leave out the commands that are not asked for, where that is plain: to build them takes time."""
    return [entry for entry in commands if words[:1] == [entry.name]] or commands


def _run(cli: typer.Typer, words: list[str], app: AppContext) -> int:
    try:
        code = cli(words, prog_name="pondctl", obj=app, standalone_mode=False)
        return code if isinstance(code, int) else ExitCode.OK
    except BaseException as error:
        with suppress(OSError):  # of a stream that nobody reads any more: the exit code still tells
            return _tell(error, words, app)
        return int(getattr(error, "exit_code", ExitCode.UNAVAILABLE))


def _tell(error: BaseException, words: list[str], app: AppContext) -> int:
    """Print what went wrong, where there is something to say, and return the exit code."""
    if type(error) in _SAID_ENOUGH:
        return _SAID_ENOUGH[type(error)]
    match error:
        case PondctlError():
            app.trouble = error
            return app.output.error(error)
        case typer.TyperException():
            return _tell_usage(error, words, app)
        case OSError() if error.errno in _STREAM_TROUBLE:
            return app.output.error(UnavailableError(f"the output could not be written: {error.strerror}"))
    from pondctl.telemetry.crash import write_crash_log

    return app.output.bug(write_crash_log(error))


def _tell_usage(error: typer.TyperException, words: list[str], app: AppContext) -> int:
    message = error.format_message().replace("Value error, ", "")
    if not message:  # a command without arguments showed its help
        return ExitCode.USAGE
    # The words could not be parsed, so nobody has read -o yet.
    app.use(output=_wanted_format(words))
    at = getattr(error, "ctx", None)
    return app.output.error(UsageError(message, hint=f"see {at.command_path} --help" if at else None))


def _wanted_format(words: Sequence[str]) -> str | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in ("-o", "--output"):
            value = value if equals else following
        elif word.startswith("-o"):
            value = word[2:]
        else:
            continue
        return value if value in ("json", "jsonl") else None
    return None


def _flushed(code: int) -> int:
    """Return `code` once stdout is written out; a reader that left is no error, a full disk is one."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Or the interpreter tries again while it ends, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code if isinstance(error, BrokenPipeError) else ExitCode.UNAVAILABLE
    return code


def _exit_codes() -> str:
    lines = [
        textwrap.fill(code.meaning, 70, initial_indent=f"{code:>3}  ", subsequent_indent=" " * 5)
        for code in ExitCode
    ]
    return "\n".join(["Exit codes", *lines])
