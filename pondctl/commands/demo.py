"""`pondctl demo`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import NoProgress
from pondctl.context import AppContext
from pondctl.errors import ConfigurationError

if TYPE_CHECKING:
    from pondctl.sandbox import Sandbox
    from pondctl.services.syncing.next_check import Cause


@needs("viewer")
def demo(
    ctx: typer.Context,
    devices: Annotated[int, typer.Option(min=20, help="Devices of the bulk change.")] = 1000,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its profile and database go.")
    ] = None,
    no_progress: NoProgress = False,
) -> None:
    """Run the main job on this machine: simulated carriers, an embedded database, no account."""
    from pondctl.sandbox.fleet import seeded_iccids
    from pondctl.services.demo import DemoSite, demo_folder, seed

    app: AppContext = ctx.obj
    site = DemoSite.fresh(folder or demo_folder())
    with _simulated(devices) as sandbox:
        site.write_profile(sandbox.environment())
        app.choose(config=site.config_file, profile="demo")
        app.ignore_environment()
        app.use(progress=not no_progress, workers=32)
        app.output.note(f"{devices} devices, simulated carriers on {sandbox.url}, profile in {site.folder}")
        bulk_change_id = seed(app.database, seeded_iccids(sandbox.config), devices)
        # The database is a new one under an old name: what was kept of the old one's trail is put aside.
        app.trail.head.begin_anew()
        app.output.note(f"$ pondctl sync-bulk {bulk_change_id}")
        _run(app, bulk_change_id, None)
        _run_queued_check(app, bulk_change_id)
        port = sandbox.url.rpartition(":")[2]
    _say_what_next(app, site.config_file, f"--port {port} --devices {devices}", bulk_change_id)


def _simulated(devices: int) -> Sandbox:
    from pondctl.sandbox import SandboxConfig

    try:
        from pondctl.sandbox import Sandbox
    except ImportError as error:
        raise ConfigurationError(
            f"the demo needs the package {error.name}, which is not installed",
            hint="pip install 'pondctl[sandbox]'",
        ) from error
    return Sandbox(SandboxConfig(devices=devices, activation_seconds=3, latency_ms=20))


def _run(app: AppContext, bulk_change_id: int, cause: Cause | None) -> None:
    from pondctl.services.sync_bulk import SyncRequest

    with app.output.results("sync-bulk") as report:
        app.sync_bulk.run(SyncRequest(bulk_change_id, workers=app.workers, cause=cause), report)


def _run_queued_check(app: AppContext, bulk_change_id: int) -> None:
    """Do what `pondctl worker` would do: take the check off the queue when it is due, and run it."""
    from pondctl.services.demo import wait_for_check

    app.output.note("waiting for the queued check")
    check = wait_for_check(app.database, app.stop)
    if check is None:
        return
    app.output.note(f"the check is due: sync-bulk of bulk change {bulk_change_id} again")
    _run(app, bulk_change_id, check)


def _say_what_next(app: AppContext, config_file: Path, sandbox_options: str, bulk_change_id: int) -> None:
    config = f"--config {shlex.quote(str(config_file))}"
    set_here = sorted(name for name in os.environ if name.startswith("PONDCTL_"))
    for line in (
        "",
        "That was the main job. The profile stays; try:",
        *([f"  unset {' '.join(set_here)}    # they beat the profile"] if set_here else []),
        f"  pondctl bulk show {bulk_change_id} {config}",
        f"  pondctl status {config}",
        "With the carriers running again in another terminal:",
        f"  pondctl sandbox start {sandbox_options}",
        f"  pondctl sync-bulk {bulk_change_id} {config}",
    ):
        app.output.note(line)
