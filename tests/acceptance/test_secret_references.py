"""References to secrets, from the command line to the carrier; and what is said of one that leads nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from tests.world import ICCIDS, Result, World

pytest.importorskip("keyring")
A = ICCIDS[0]
BACKENDS = {
    "file": "tests.acceptance.keyring_backend.FileKeyring",
    "null": "keyring.backends.null.Keyring",
    "none": "keyring.backends.fail.Keyring",
}


@pytest.fixture(scope="module")
def secrets_manager() -> Iterator[Mapping[str, str]]:
    """The environment in which AWS Secrets Manager is moto's, with the secrets of a deployment in it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environ = {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client(
        "secretsmanager",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )
    client.create_secret(Name="iot/thingspace", SecretString=json.dumps({"secret": "sandbox-client-secret"}))
    client.close()
    yield environ
    server.stop()


@pytest.fixture
def refer(world: World, tmp_path: Path, secrets_manager: Mapping[str, str]) -> World:
    """A world in which each kind of reference leads to the client secret under one name."""
    (tmp_path / "kept.json").write_text(json.dumps({"pondctl/thingspace": "sandbox-client-secret"}))
    (tmp_path / "secret").write_text("sandbox-client-secret\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "open").write_text("sandbox-client-secret\n")
    (tmp_path / "open").chmod(0o644)
    world.settings |= secrets_manager
    world.settings |= {
        "THE_SECRET": "sandbox-client-secret",
        "TEST_KEYRING": str(tmp_path / "kept.json"),
        "PYTHON_KEYRING_BACKEND": BACKENDS["file"],
    }
    return world


def sync(world: World, reference: str, **environ: str) -> Result:
    """Run it in a process of its own: a keyring is chosen once in each."""
    world.thingspace.add(A, state="active", msisdn="12015550123")
    process = world.spawn(
        "sync-bulk", world.given(A), "-o", "json", PONDCTL_THINGSPACE__CLIENT_SECRET=reference, **environ
    )
    out, err = process.communicate(timeout=60)
    return Result(process.returncode, out, err)


@pytest.mark.parametrize(
    "reference",
    [
        "env:THE_SECRET",
        "file:{folder}/secret",
        "keyring:pondctl/thingspace",
        "aws-secretsmanager:iot/thingspace#secret",
    ],
)
def test_a_secret_that_is_referred_to_opens_the_carrier(refer: World, tmp_path: Path, reference: str) -> None:
    ended = sync(refer, reference.format(folder=tmp_path))

    assert ended.exit_code == 0, ended.stderr
    assert ended.json["counts"]["done"] == 1


@pytest.mark.parametrize(
    ("reference", "environ", "message", "remedy"),
    [
        ("env:NO_SUCH", {}, "the environment variable NO_SUCH is not set", None),
        ("file:{folder}/none", {}, "{folder}/none cannot be read: No such file or directory", None),
        ("file:{folder}/open", {}, "others can read {folder}/open", "chmod 600"),
        ("keyring:pondctl/other", {}, "the keyring has no entry pondctl/other", "keyring set pondctl other"),
        (
            "keyring:a/b",
            {"PYTHON_KEYRING_BACKEND": BACKENDS["null"]},
            "the keyring has no entry a/b",
            "keyring set",
        ),
        (
            "keyring:a/b",
            {"PYTHON_KEYRING_BACKEND": BACKENDS["none"]},
            "the keyring is not available here",
            "file:PATH",
        ),
        (
            "keyring:a/b",
            {"PYTHON_KEYRING_BACKEND": "no.such.Backend"},
            "the keyring is not available here",
            "file:PATH",
        ),
        ("keyring:a/b", {"TEST_KEYRING": "/nonexistent"}, "the keyring is not available here", "file:PATH"),
        ("aws-secretsmanager:none", {}, "AWS Secrets Manager has no secret none", None),
        ("aws-secretsmanager:iot/thingspace#no", {}, "has no key no", None),
        (
            "aws-secretsmanager:iot/thingspace",
            {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:9"},
            "AWS Secrets Manager gave no answer about iot/thingspace",
            None,
        ),
        (
            "aws-secretsmanager:iot/thingspace",
            {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "nonsense"},
            "AWS Secrets Manager cannot be asked for iot/thingspace",
            "AWS_REGION",
        ),
    ],
)
def test_one_that_leads_nowhere_is_named_with_the_remedy(
    refer: World, tmp_path: Path, reference: str, environ: dict[str, str], message: str, remedy: str | None
) -> None:
    ended = sync(refer, reference.format(folder=tmp_path), **environ)

    assert ended.exit_code == (7 if "gave no answer" in message else 2), ended.stderr
    error = ended.json["error"]
    assert message.format(folder=tmp_path) in error["message"]
    assert remedy is None or remedy in error["hint"]
    assert "Traceback" not in ended.stderr
    assert "sandbox-client-secret" not in ended.stdout + ended.stderr
    # Nothing was begun.
    assert refer.own("run") == []
