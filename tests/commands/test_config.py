"""`config show` and `config init`, from the command line, with real files."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from pondctl.config import leaves, load
from tests.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def _settings(document: dict[str, list[dict[str, object]]]) -> dict[str, tuple[object, object]]:
    return {str(each["key"]): (each["value"], each["origin"]) for each in document["settings"]}


def test_show_lists_every_setting_with_its_origin(program: Program) -> None:
    path = program.configure(
        '[profiles.default.thingspace]\naccount_name = "0000123456-00001"\nrequests_per_second = 2\n'
        "[profiles.default.pond]\ndistributor_id = 1234567890123\nservice_provider_ids = [4]\n"
    )

    ended = program.run("config", "show", "-o", "json", PONDCTL_THINGSPACE__REQUESTS_PER_SECOND="3")

    shown = _settings(ended.json)
    assert list(shown) == list(leaves())
    assert ended.json["profile"] == "default"
    assert ended.json["file"] == str(path)
    in_file = f"file {path} [profiles.default]"
    assert shown["thingspace.account_name"] == ("0000123456-00001", in_file)
    assert shown["thingspace.requests_per_second"] == (
        3,
        "environment PONDCTL_THINGSPACE__REQUESTS_PER_SECOND",
    )
    assert shown["pond.distributor_id"] == ("1234567890123", in_file)
    assert shown["pond.service_provider_ids"] == (["4"], in_file)
    assert shown["access.role"] == ("admin", "default")


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_show_never_shows_a_secret(program: Program, form: str) -> None:
    program.configure(
        '[profiles.default.database]\nurl = "mssql+pyodbc://sa:Planted%2F1@db1/iot?driver=x"\n'
        '[profiles.default.thingspace]\nclient_secret = "Planted-2"\npassword = "env:PW"\n'
    )

    ended = program.run("-v", "config", "show", "-o", form, PW="Planted-3", PONDCTL_POND__API_KEY="Planted-4")

    assert ended.exit_code == 0
    assert "Planted" not in ended.stdout + ended.stderr
    for words in ("(set)", "(set, from env:PW)", "(not set)", "mssql+pyodbc://sa:***@db1/iot?driver=x"):
        assert words in ended.stdout


def test_show_reads_no_secret(program: Program) -> None:
    program.configure('[profiles.default.thingspace]\npassword = "file:/nonexistent"\n')

    assert program.run("config", "show").exit_code == 0


@pytest.mark.parametrize(
    "words", [("--profile", "b", "config", "show"), ("config", "show", "--profile", "b")]
)
def test_show_follows_the_profile(program: Program, words: tuple[str, ...]) -> None:
    program.configure('default_profile = "a"\n[profiles.a]\n[profiles.b]\nprotected = true\n')

    ended = program.run(*words, "-o", "json")

    assert ended.json["profile"] == "b"
    assert _settings(ended.json)["protected"][0] is True


def test_a_wrong_file_is_exit_2_and_a_document_under_json(program: Program) -> None:
    path = program.configure("[profiles.default]\nprotectd = true\n")

    ended = program.run("config", "show", "-o", "json")

    assert ended.exit_code == 2
    assert ended.json["error"]["code"] == "configuration"
    assert f"{path}: line 2: unknown key protectd; did you mean protected?" in ended.json["error"]["message"]


def test_init_writes_a_file_for_its_owner_alone_that_loads(program: Program) -> None:
    ended = program.run("config", "init")

    assert ended.exit_code == 0
    assert str(program.config_file) in ended.stderr
    assert stat.S_IMODE(program.config_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(program.config_file.parent.stat().st_mode) == 0o700
    shown = _settings(program.run("config", "show", "-o", "json").json)
    assert {origin for _, origin in shown.values()} == {"default"}


def test_every_line_of_the_file_may_be_used_as_it_stands(program: Program, tmp_path: Path) -> None:
    program.run("config", "init")
    text = program.config_file.read_text()
    keys = re.findall(r"^# (\w+) = ", text, re.MULTILINE)
    used = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    path = tmp_path / "all.toml"
    path.write_text(used)
    path.chmod(0o600)

    settings = load(config_file=path, environ={})

    assert keys == [key.rpartition(".")[2] for key in leaves()]
    assert set(settings.origins.values()) == {f"file {path} [profiles.default]"}
    for key in leaves():
        if key != "pond.distributor_id":  # which has no default
            value, default = settings.value_of(key), load(environ={}).value_of(key)
            assert value == default or str(value) == str(default) == "(not set)"
    explained = [line for line in used.splitlines() if re.match(r"\w+ = .*  # \S", line)]
    assert len(explained) == len(keys)


def test_init_leaves_an_existing_file_alone_unless_it_is_forced(program: Program) -> None:
    program.configure("# mine\n", 0o644)

    refused = program.run("config", "init")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert program.config_file.read_text() == "# mine\n"

    assert program.run("config", "init", "--force").exit_code == 0
    assert "default_profile" in program.config_file.read_text()
    assert stat.S_IMODE(program.config_file.stat().st_mode) == 0o600
    assert [path.name for path in program.config_file.parent.iterdir()] == ["config.toml"]


def test_init_writes_where_it_is_told_and_names_the_profile(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "p.toml"

    ended = program.run("config", "init", "--config", path, "--profile", "production")

    assert ended.exit_code == 0
    assert program.run("--config", path, "config", "show", "-o", "json").json["profile"] == "production"


@pytest.mark.parametrize("name", ["a b", "a]", "", "ü", 'x"'])
def test_init_takes_no_name_that_toml_would_read_otherwise(program: Program, name: str) -> None:
    ended = program.run("config", "init", PONDCTL_PROFILE=name)

    assert ended.exit_code == (2 if name else 0)


def test_init_says_why_it_cannot_write(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = program.run("config", "init", "--config", tmp_path / "file" / "p.toml")

    assert ended.exit_code == 2
    assert "cannot be written" in ended.stderr
