"""The options that work before and after every subcommand, and what happens around each of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from pondctl.commands._access import Access, access_of
from pondctl.context import AppContext
from pondctl.errors import ExitCode

_PANEL = "Options of every command"

Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", rich_help_panel=_PANEL, help="Profile of the settings."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", rich_help_panel=_PANEL, help="File of the settings."),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        metavar="",
        show_default=False,
        rich_help_panel=_PANEL,
        help="Log in detail.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", rich_help_panel=_PANEL, help="Silent on success; log errors only."),
]

DebugHttp = Annotated[
    bool,
    typer.Option(
        "--debug-http",
        rich_help_panel=_PANEL,
        help="Log in detail, requests and answers too, without secrets.",
    ),
]


def _everywhere(
    profile: Profile = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    debug_http: DebugHttp = False,
) -> None:
    """Only its signature is used: these parameters are added to each command."""


_NO_ARGUMENTS = ("ctx", "reason", "output", "no_progress")
_SHARED = inspect.signature(_everywhere, eval_str=True).parameters


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with the shared options added to its own; they are taken off before it is called."""
    if hasattr(command, "__wrapped__"):
        return command  # the app was built before in this process
    access = access_of(command)
    signature = inspect.signature(command, eval_str=True)
    takes_context = "ctx" in signature.parameters

    @wraps(command)
    def run(**given: Any) -> None:
        shared = {name: given.pop(name) for name in _SHARED}
        ctx: typer.Context = given["ctx"] if takes_context else given.pop("ctx")
        app: AppContext = ctx.obj
        app.command = ctx.command_path.removeprefix("pondctl ")
        app.choose(**shared)
        app.start_logging()
        _run(ctx, command, access, given)

    own = [each.replace(kind=each.KEYWORD_ONLY) for each in signature.parameters.values()]
    if not takes_context:
        own.append(inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
    added = [each.replace(kind=each.KEYWORD_ONLY) for each in _SHARED.values()]
    run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    # Evaluated already: Typer would evaluate the text of each annotation once more.
    run.__annotations__ = {each.name: each.annotation for each in [*own, *added]}
    return run


def _run(ctx: typer.Context, command: Callable[..., None], access: Access, given: dict[str, Any]) -> None:
    """Run it in the role that it needs, and on record where it is more than a look."""
    app: AppContext = ctx.obj
    arguments = {name: value for name, value in given.items() if name not in _NO_ARGUMENTS}
    role = access.role_for(given)
    app.admission.admit(
        role, ctx.command_path, arguments, given.get("reason"), makes_tables=access.makes_tables
    )
    try:
        command(**given)
    except BrokenPipeError:
        # Whoever read our output went away: nothing to say, and nobody to say it to.
        raise typer.Exit(ExitCode.UNAVAILABLE) from None
    finally:
        app.admission.ended(sys.exception())
