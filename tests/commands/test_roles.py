"""Who may do what: enforced before any call, by one declaration a command."""

from __future__ import annotations

import pytest
import typer

from pondctl.cli import COMMANDS, Entry, build
from pondctl.commands._access import access_of
from tests.pond_life import PROVIDER, WANTED, A, sims
from tests.world import World

VIEWER = {"PONDCTL_ACCESS__ROLE": "viewer"}
OPERATOR = {"PONDCTL_ACCESS__ROLE": "operator"}
LIFE = ("--package-type", WANTED, "--service-provider", PROVIDER)


def roles() -> dict[str, str]:
    """Every command with the role that it declares."""
    found: dict[str, str] = {}
    for _, name, target in COMMANDS:
        if not isinstance(target, typer.Typer):
            found[name] = access_of(target).role
            continue
        for info in target.registered_commands:
            assert info.callback is not None
            found[f"{name} {info.name or info.callback.__name__}"] = access_of(info.callback).role
    return found


def test_the_table_of_roles() -> None:
    admin = {"db init", "db upgrade", "db prune", "device unlock", "device forget", "reconcile", "doctor"}
    operator = {
        *("sync-bulk", "activate", "suspend", "resume", "terminate", "retry-failed", "worker", "ingest"),
        *(f"dead-letter {verb}" for verb in ("review", "requeue", "discard", "restore", "pull")),
        *("bulk create", "bulk cancel", "device lock", "runs resume", "runs cancel"),
    }

    found = roles()
    assert {name for name, role in found.items() if role == "admin"} == admin
    assert {name for name, role in found.items() if role == "operator"} == operator


def test_a_command_without_a_role_is_not_registered() -> None:
    def forgotten(ctx: typer.Context) -> None:
        """Declare nothing."""

    with pytest.raises(TypeError, match="declares no role"):
        build([Entry("Try", "forgotten", forgotten)])


@pytest.mark.parametrize(
    ("role", "words", "needed"),
    [
        (VIEWER, ("sync-bulk", 1), "operator"),
        (VIEWER, ("activate", A, *LIFE), "operator"),
        (VIEWER, ("suspend", A), "operator"),
        (VIEWER, ("resume", A), "operator"),
        (VIEWER, ("terminate", A, "--reason", "x", "--yes"), "operator"),
        (VIEWER, ("retry-failed", 1), "operator"),
        (VIEWER, ("worker", "--once"), "operator"),
        (VIEWER, ("ingest", "-"), "operator"),
        (VIEWER, ("dead-letter", "requeue", 1), "operator"),
        (VIEWER, ("dead-letter", "discard", 1, "--reason", "x"), "operator"),
        (VIEWER, ("dead-letter", "pull"), "operator"),
        (VIEWER, ("bulk", "cancel", 1, "--reason", "x"), "operator"),
        (VIEWER, ("device", "lock", A, "--reason", "x"), "operator"),
        (VIEWER, ("runs", "cancel", "x"), "operator"),
        (VIEWER, ("runs", "resume", "x"), "operator"),
        (VIEWER, ("reconcile", "--apply", "--max-changes", 1), "admin"),
        (OPERATOR, ("reconcile", "--apply", "--max-changes", 1), "admin"),
        (OPERATOR, ("device", "unlock", A, "--reason", "x"), "admin"),
        (OPERATOR, ("device", "forget", A, "--reason", "x", "--yes"), "admin"),
        (OPERATOR, ("db", "init"), "admin"),
        (OPERATOR, ("db", "upgrade"), "admin"),
        (OPERATOR, ("db", "prune"), "admin"),
    ],
)
def test_what_the_role_does_not_allow_is_refused_before_any_call(
    world: World, role: dict[str, str], words: tuple[object, ...], needed: str
) -> None:
    world.given(A)
    sims(world, A)
    before = world.everything()

    result = world.run(*words, stdin="{}", **role)

    assert result.exit_code == 4, result.stderr
    assert f"needs the role {needed}, and the profile default has the role" in result.stderr
    assert world.calls() == 0
    assert world.everything() == before


def test_a_viewer_looks_and_tries(world: World) -> None:
    bulk = world.given(A)
    sims(world, A)

    for words in (
        ("status",),
        ("bulk", "show", bulk),
        ("audit", "verify"),
        ("sync-bulk", bulk, "--dry-run"),
        ("activate", A, *LIFE, "--dry-run"),
        ("db", "upgrade", "--sql"),
    ):
        assert world.run(*words, **VIEWER).exit_code == 0, words
    assert world.run("reconcile", "--check", "--local", **VIEWER).exit_code in (0, 5)
