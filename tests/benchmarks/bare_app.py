"""The least that a program of two commands takes to show its help."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def one(name: str) -> None:
    """Do one thing."""


@app.command()
def two(name: str) -> None:
    """Do another thing."""


if __name__ == "__main__":
    app()
