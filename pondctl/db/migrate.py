"""Runs the migrations of pondctl's own tables, from inside the package; there is no alembic.ini."""

from __future__ import annotations

import io
from importlib.resources import files

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pondctl.db.columns import OwnNames


def upgrade_to_head(connection: sa.Connection, names: OwnNames) -> None:
    """Bring the own tables up to this program, in the transaction of `connection`."""
    config = _config(names)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade_script(dialect: str, names: OwnNames, since: str) -> str:
    """The statements that `upgrade_to_head` would run on a schema at revision `since`."""
    script = io.StringIO()
    config = _config(names, script)
    config.attributes["dialect"] = dialect
    command.upgrade(config, f"{since}:head", sql=True)
    return script.getvalue()


def _config(names: OwnNames, script: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=script) if script else Config()
    folder = str(files("pondctl.db") / "migrations")
    # The option is read by a parser to which % is special.
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["own_names"] = names
    return config
