"""`pondctl sandbox start`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from pondctl.commands._access import needs

app = typer.Typer(no_args_is_help=True, help="Simulated carriers on this machine.")


@app.command("start")
@needs("viewer")
def start(
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    devices: Annotated[int, typer.Option(min=0, help="Devices in the ThingSpace account.")] = 1000,
    pond_sims: Annotated[int, typer.Option(min=0, help="SIMs at POND.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed makes the same devices.")] = 1,
    latency_ms: Annotated[float, typer.Option(min=0, help="Milliseconds before each answer.")] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="ENDPOINT:KIND[=VALUE][,count=N,…]; may be repeated."),
    ] = None,
    activation_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds until a device with pending activation is active.")
    ] = 60.0,
) -> None:
    """Serve a simulated ThingSpace and POND on loopback until interrupted."""
    from pondctl.sandbox.config import SandboxConfig
    from pondctl.sandbox.launch import serve

    config = SandboxConfig(
        host=host,
        port=port,
        devices=devices,
        pond_sims=pond_sims,
        seed=seed,
        latency_ms=latency_ms,
        faults=tuple(fault or ()),
        activation_seconds=activation_seconds,
    )
    serve(config, partial(typer.echo, err=True))
