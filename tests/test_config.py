"""Where settings come from, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import json
import os
import pickle
import sys
from itertools import product
from pathlib import Path
from urllib.parse import quote, quote_plus

import boto3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from pondctl.clients.secrets_manager import read_secret
from pondctl.config import Secret, leaves, load
from pondctl.config.sources import variable_of
from pondctl.errors import ConfigurationError, PermissionDeniedError
from pondctl.telemetry.redact import redact_text

NO_FILE = {"PONDCTL_CONFIG": "", "HOME": "/nonexistent"}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "empty"))


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(**arguments: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(**({"environ": {}} | arguments))  # type: ignore[arg-type]
    return caught.value


# Where a value comes from


@pytest.mark.parametrize(("in_file", "in_environ", "as_flag"), list(product([False, True], repeat=3)))
def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    tmp_path: Path, in_file: bool, in_environ: bool, as_flag: bool
) -> None:
    line = "requests_per_second = 2" if in_file else ""
    path = write(tmp_path, f"[profiles.default.thingspace]\n{line}\n")
    key = "thingspace.requests_per_second"
    name = "PONDCTL_THINGSPACE__REQUESTS_PER_SECOND"

    settings = load(
        config_file=path,
        environ={name: "3"} if in_environ else {},
        overrides={key: 4} if as_flag else {},
    )

    given = [(5, "default")]
    given += [(2, f"file {path} [profiles.default]")] if in_file else []
    given += [(3, f"environment {name}")] if in_environ else []
    given += [(4, "flag")] if as_flag else []
    assert (settings.thingspace.requests_per_second, settings.origins[key]) == given[-1]
    assert settings.origins["thingspace.base_url"] == "default"


def test_every_key_can_be_set_by_its_environment_variable() -> None:
    samples = {
        "lookup": "get",
        "api": "sim",
        "role": "viewer",
        "state_schema": "other",
        "names": '{"A": "B"}',
        "notify": '["json://localhost/x"]',
    }
    environ = {}
    for key, field in leaves().items():
        name = key.rpartition(".")[2]
        default = field.get_default(call_default_factory=True)
        if name in samples:
            text = samples[name]
        elif name.endswith("_url") or name == "url":
            text = "sqlite:///x.db" if key.startswith("database") else f"https://host/1/{name}"
        elif isinstance(default, bool):
            text = str(not default).lower()
        elif isinstance(default, tuple):
            text = "[7, 8]"
        elif isinstance(default, int | float) or default is None:
            text = "1"
        else:
            text = f"value-of-{name}"
        environ[variable_of(key)] = text

    settings = load(environ=environ)

    assert settings.profile == "default"
    assert set(settings.origins.values()) == {f"environment {name}" for name in environ}
    for key, field in leaves().items():
        default = field.get_default(call_default_factory=True)
        value = settings.value_of(key)
        assert value.reveal() == environ[variable_of(key)] if isinstance(value, Secret) else value != default


def test_lists_and_tables_are_json_in_the_environment() -> None:
    settings = load(
        environ={
            "PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[4, 5]",
            "PONDCTL_DATABASE__NAMES": '{"BulkChange": "DeviceBulkChange"}',
        }
    )

    assert settings.access.service_provider_ids == (4, 5)
    assert settings.database.names == {"BulkChange": "DeviceBulkChange"}
    assert "[4, 5]" in str(refused(environ={"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "4,5"}).hint)


def test_a_column_name_may_be_written_without_quotes(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[profiles.default.database.names]\nBulkChange = "B"\nM2M_DeviceChange.MSISDN = ""\n'
    )

    assert load(config_file=path, environ={}).database.names == {
        "BulkChange": "B",
        "M2M_DeviceChange.MSISDN": "",
    }


def test_the_file_is_the_one_of_the_flag_or_of_the_environment_or_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for folder in ("pondctl", "environ", "flag"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f'[profiles.default.thingspace]\naccount_name = "{folder}"\n')
    environ = {"PONDCTL_CONFIG": str(tmp_path / "environ" / "config.toml")}

    assert load(environ={}).thingspace.account_name == "pondctl"
    assert load(environ=environ).thingspace.account_name == "environ"
    given = load(environ=environ, config_file=tmp_path / "flag" / "config.toml")
    assert given.thingspace.account_name == "flag"
    assert given.file == str(tmp_path / "flag" / "config.toml")


# Profiles


TWO = 'default_profile = "a"\n[profiles.a]\nprotected = true\n[profiles.b]\n'


@pytest.mark.parametrize(
    ("flag", "environ", "text", "expected"),
    [
        (None, {}, TWO, "a"),
        (None, {"PONDCTL_PROFILE": "b"}, TWO, "b"),
        ("a", {"PONDCTL_PROFILE": "b"}, TWO, "a"),
        (None, {}, "[profiles.default]\n", "default"),
        (None, {}, "", "default"),
    ],
)
def test_the_profile_is_chosen_by_flag_then_environment_then_file(
    tmp_path: Path, flag: str | None, environ: dict[str, str], text: str, expected: str
) -> None:
    path = write(tmp_path, text)

    assert load(profile=flag, config_file=path, environ=environ).profile == expected


def test_an_unknown_profile_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, TWO)

    error = refused(profile="c", config_file=path)

    assert "no profile c" in error.message
    assert "a, b" in error.message


def test_where_no_profile_is_chosen_none_is_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, "[profiles.a]\n[profiles.b]\n")

    assert "a, b" in refused(config_file=path).message


def test_without_a_file_the_environment_is_enough_and_may_name_the_profile() -> None:
    assert load(environ={"PONDCTL_QUEUE__MAX_RETRIES": "7"}).queue.max_retries == 7
    assert load(environ={"PONDCTL_PROFILE": "ci"}).profile == "ci"
    assert "no configuration file" in refused(profile="production").message


# What is refused


def test_unknown_keys_in_the_file_are_named_with_line_and_the_nearest_known_key(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[profiles.default]\nprotectd = true\n\n[profiles.default.thingspace]\n# a comment\nbase_ur = "x"\n'
        '[profiles.default.pond]\nmax_retries = 3\n[profiles.default."thingspce"]\nx = 1\n',
    )

    message = refused(config_file=path).message

    assert str(path) in message
    assert "line 2: unknown key protectd; did you mean protected?" in message
    assert "line 6: unknown key thingspace.base_ur; did you mean thingspace.base_url?" in message
    assert "line 8: unknown key pond.max_retries; did you mean queue.max_retries?" in message
    assert "line 9: unknown key thingspce" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile = 1\n", "line 1: unknown key profile; did you mean profiles?"),
        ("profiles = 1\n", "profiles must be tables"),
        ("[profiles]\na = 1\n", "profiles must be tables"),
        ("[profiles.default]\nqueue = 1\n", "line 2: queue must be a table"),
        ("[profiles.default\n", "is not valid TOML"),
        ("default_profile = 3\n", "there is no profile 3"),
    ],
)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, words: str, mode: int) -> None:
    assert words in refused(config_file=write(tmp_path, text, mode)).message


def test_a_named_file_must_be_there_and_be_text(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    assert "there is no configuration file" in refused(config_file=tmp_path / "none").message
    assert "cannot be read" in refused(config_file=tmp_path).message
    assert "not UTF-8" in refused(config_file=tmp_path / "binary").message


def test_unknown_variables_are_named_with_the_nearest_known_one() -> None:
    message = refused(environ={"PONDCTL_DATABAE__URL": "x", "PONDCTL_DATABASE_URL": "x"}).message

    assert message.count("did you mean PONDCTL_DATABASE__URL?") == 2


def test_known_variables_that_are_no_settings_are_let_through() -> None:
    environ = {"PONDCTL_TEST_DATABASE_URL": "x", "PONDCTL_CONFIG": "", "PONDCTL_PROFILE": "", "OTHER": "x"}

    assert load(environ=environ).profile == "default"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("thingspace.base_url", "http://thingspace.verizon.com/api", "https://"),
        ("thingspace.base_url", "http://localhost.evil.com/api", "https://"),
        ("thingspace.base_url", "http://127.0.0.1@evil.com/api", "no user"),
        ("thingspace.base_url", "https://ann:pw@host/api", "no user"),
        ("thingspace.base_url", "https://host/api?x=1", "no query"),
        ("thingspace.base_url", "thingspace.verizon.com", "no valid URL"),
        ("pond.base_url", "https://host:port/", "no valid URL"),
        ("pond.base_url", "https:///path", "no valid URL"),
        ("pond.base_url", "ftp://127.0.0.1/", "https://"),
        ("queue.url", "http://sqs.us-east-1.amazonaws.com/1/q", "https://"),
        ("queue.url", "https://sqs.us-east-1.amazonaws.com/q", "whole URL of a queue"),
        ("queue.url", "bulk-change", "no valid URL"),
        ("pond.api", "soap", "'devices' or 'sim'"),
        ("pond.api_key_header", "x key", "pattern"),
        ("thingspace.requests_per_second", "0", "greater than 0"),
        ("thingspace.requests_per_second", "nan", ""),
        ("limits.max_error_rate", "1.5", "less than or equal to 1"),
        ("queue.max_retries", "-1", "greater than or equal to 0"),
        ("queue.max_retries", "many", "integer"),
        ("access.role", "root", "'viewer', 'operator' or 'admin'"),
        ("database.state_schema", "a.b; DROP", "pattern"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_key_and_origin_and_without_the_value(
    key: str, value: str, words: str
) -> None:
    name = variable_of(key)

    message = refused(environ={name: value}).message

    assert message.startswith(f"{key}: ")
    assert words in message
    assert f"(environment {name})" in message
    assert len(value) < 5 or value not in message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/api", "http://[::1]:1/x", "http://localhost/", "https://h"]
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    assert load(environ={"PONDCTL_POND__BASE_URL": url}).pond.base_url == url.rstrip("/")


def test_the_queue_cannot_be_its_own_dead_letter_queue() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/1/q"
    environ = {"PONDCTL_QUEUE__URL": url, "PONDCTL_QUEUE__DEAD_LETTER_URL": url}

    assert "must differ" in refused(environ=environ).message
    assert "only url may be" in refused(environ={"PONDCTL_QUEUE__FOREIGN_URL": "database"}).message


# Secrets


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o777])
@pytest.mark.parametrize(
    ("line", "is_secret"),
    [
        ('thingspace.client_secret = "Planted-1"', True),
        ('database.url = "mssql+pyodbc://sa:Planted-1@host/db"', True),
        ('database.url = "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3DPlanted-1"', True),
        ('thingspace.client_secret = "env:NAME"', False),
        ('database.url = "file:db-url"', False),
        ('database.url = "sqlite:////tmp/x.db"', False),
        ('database.url = "mssql+pyodbc://host/db?trusted_connection=yes"', False),
        ('thingspace.client_secret = ""', False),
    ],
)
def test_a_file_that_others_can_read_may_hold_references_but_no_secret(
    tmp_path: Path, mode: int, line: str, is_secret: bool
) -> None:
    # Not the chosen profile: a secret is a secret wherever it stands in the file.
    path = write(tmp_path, f"[profiles.default]\n[profiles.other]\n{line}\n", mode)

    if not is_secret:
        load(config_file=path, environ={})
        return
    error = refused(config_file=path)
    assert f"profiles.other.{line.partition(' ')[0]}" in error.message
    assert "chmod 600" in str(error.hint)
    assert "Planted" not in f"{error.message}{error.hint}"


def test_a_secret_is_read_on_first_use_and_then_known_to_the_redactor(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[profiles.default.thingspace]\nclient_secret = "file:secret"\npassword = "env:PW"\n'
    )
    settings = load(config_file=path, environ={"PW": "Planted-in-env"})
    (tmp_path / "secret").write_text("Planted-in-file\n")
    (tmp_path / "secret").chmod(0o600)

    assert redact_text("Planted-in-file") == "Planted-in-file"
    assert settings.thingspace.client_secret.reveal() == "Planted-in-file"
    assert settings.thingspace.password.reveal() == "Planted-in-env"
    assert redact_text("a Planted-in-file b Planted-in-env") == "a *** b ***"


def test_a_relative_file_is_looked_for_beside_the_settings_and_among_the_credentials(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    path = write(tmp_path, '[profiles.default.pond]\napi_key = "file:key"\n')
    (credentials / "key").write_text("from systemd")
    (credentials / "key").chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}

    assert load(config_file=path, environ=environ).pond.api_key.reveal() == "from systemd"
    (tmp_path / "key").write_text("beside")
    (tmp_path / "key").chmod(0o600)
    assert load(config_file=path, environ=environ).pond.api_key.reveal() == "beside"


@pytest.mark.parametrize(
    ("reference", "prepare", "words"),
    [
        ("env:NOT_SET", None, "environment variable NOT_SET is not set"),
        ("env:EMPTY", None, "is empty"),
        ("file:none", None, "cannot be read"),
        ("file:secret", 0o644, "others can read"),
        ("file:secret", 0o660, "others can read"),
        ("file:.", None, "cannot be read"),
        ("file:long", 0o600, "too long"),
        ("file:binary", 0o600, "not UTF-8"),
        ("aws-secretsmanager:x#y", None, "cannot be read here"),
    ],
)
def test_a_reference_that_cannot_be_read_names_the_setting(
    tmp_path: Path, reference: str, prepare: int | None, words: str
) -> None:
    contents = {"secret": b"Planted-2", "long": b"x" * 70_000, "binary": b"\xff\xfe"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(prepare or 0o600)
    path = write(tmp_path, f'[profiles.default.pond]\napi_key = "{reference}"\n')
    secret = load(config_file=path, environ={"EMPTY": ""}).pond.api_key

    with pytest.raises(ConfigurationError) as caught:
        secret.reveal()

    assert caught.value.message.startswith("pond.api_key: ")
    assert words in caught.value.message
    assert "Planted" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("text", ["env:", "keyring:service"])
def test_a_reference_to_nothing_is_refused_at_once(text: str) -> None:
    assert "pond.api_key" in refused(environ={"PONDCTL_POND__API_KEY": text}).message


def test_a_keyring_entry_is_read_by_service_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyring.backend")

    class Memory(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return "Planted-in-keyring" if (service, username) == ("pondctl", "thingspace") else None

        set_password = delete_password = get_password

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        found = load(environ={"PONDCTL_POND__API_KEY": "keyring:pondctl/thingspace"}).pond.api_key.reveal()
        absent = load(environ={"PONDCTL_POND__API_KEY": "keyring:pondctl/other"}).pond.api_key
        with pytest.raises(ConfigurationError, match="no entry pondctl/other"):
            absent.reveal()
    finally:
        keyring.set_keyring(before)
    assert found == "Planted-in-keyring"


def test_without_the_keyring_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(ConfigurationError) as caught:
        load(environ={"PONDCTL_POND__API_KEY": "keyring:a/b"}).pond.api_key.reveal()

    assert "pondctl[keyring]" in str(caught.value.hint)


@mock_aws
def test_a_secret_of_aws_is_read_whole_or_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("secretsmanager").create_secret(
        Name="iot", SecretString=json.dumps({"key": "Planted-in-aws"})
    )
    readers = {"aws-secretsmanager": read_secret}

    def reveal(reference: str) -> str:
        return load(environ={"PONDCTL_POND__API_KEY": reference}, readers=readers).pond.api_key.reveal()

    assert reveal("aws-secretsmanager:iot#key") == "Planted-in-aws"
    assert reveal("aws-secretsmanager:iot") == '{"key": "Planted-in-aws"}'
    for reference, words in (("iot#other", "no key other"), ("none", "no secret none")):
        with pytest.raises(ConfigurationError, match=words):
            reveal(f"aws-secretsmanager:{reference}")


def test_without_aws_credentials_the_refusal_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")

    with pytest.raises((ConfigurationError, PermissionDeniedError)):
        read_secret("iot")


def test_a_secret_shows_itself_nowhere() -> None:
    settings = load(
        environ={
            "PONDCTL_POND__API_KEY": "Planted-literal",
            "PONDCTL_THINGSPACE__PASSWORD": "env:SOME_NAME",
            "PONDCTL_DATABASE__URL": "mssql+pyodbc://sa:Planted-pw@host/db?driver=x",
            "SOME_NAME": "Planted-referenced",
        }
    )
    assert settings.thingspace.password.reveal() == "Planted-referenced"

    shown = [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())]
    shown += [f"{settings.pond.api_key} {settings.pond.api_key!r}", str(vars(settings)), str(dict(settings))]

    assert not [text for text in shown if "Planted" in text]
    assert "mssql+pyodbc://sa:***@host/db?driver=x" in shown[0]
    assert "(set, from env:SOME_NAME)" in shown[0]
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(settings.pond.api_key)


secret_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=30)


@settings(deadline=None)
@given(secret=secret_text, place=st.sampled_from(["url", "number", "unknown", "type", "json"]))
def test_no_error_repeats_a_secret_that_was_put_in_the_wrong_place(secret: str, place: str) -> None:
    environ = {
        "url": {"PONDCTL_POND__BASE_URL": f"https://host/?{secret}"},
        "number": {"PONDCTL_QUEUE__MAX_RETRIES": f"x{secret}"},
        "unknown": {"PONDCTL_POND__APIKEY": secret},
        "type": {"PONDCTL_ACCESS__ROLE": secret},
        "json": {"PONDCTL_DATABASE__NAMES": secret},
    }[place]
    error = refused(environ=environ)

    assert secret not in f"{error.message} {error.hint} {error!r}"
    # Nothing is chained that would carry the value into a traceback.
    assert error.__suppress_context__ or error.__context__ is None


@settings(deadline=None, max_examples=500)
@example(password="&}", form="odbc")
@given(password=st.text(min_size=1, max_size=20), form=st.sampled_from(["userinfo", "odbc", "query", "raw"]))
def test_the_password_of_a_database_url_is_never_described(password: str, form: str) -> None:
    marked = f"Planted{password}Planted"
    url = {
        "userinfo": f"mssql+pyodbc://sa:{quote(marked.encode('utf-8', 'replace'), safe='')}@host/db",
        "raw": f"mssql+pyodbc://sa:{marked}@host/db",
        "odbc": "mssql+pyodbc:///?odbc_connect="
        + quote_plus(
            f"SERVER=host;DATABASE=db;PWD={{{marked.replace('}', '}}')}}}".encode("utf-8", "replace")
        ),
        "query": f"mssql+pyodbc://host/db?password={quote(marked.encode('utf-8', 'replace'), safe='')}",
    }[form]
    settings = load(environ={"PONDCTL_DATABASE__URL": url})

    assert "Planted" not in settings.database.url.describe()
    assert "Planted" not in redact_text(f"connecting to {url}")


# The database


def test_with_no_database_the_ways_out_are_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(environ={}).database_url()

    assert "no database is configured in profile default" in caught.value.message
    for way in ("pondctl demo", "pondctl config init", "PONDCTL_DATABASE__URL"):
        assert way in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("mssql+pyodbc://sa:pw@host/db", True),
        ("mssql+pyodbc://sa:pw@host/db?TrustServerCertificate=yes", False),
        ("mssql+pyodbc://sa:pw@host/db?encrypt=no", False),
        ("mssql+pyodbc:///?odbc_connect=SERVER%3Dtcp%3Ahost%2C1433%3BTrustServerCertificate%3DYes", False),
        ("mssql+pyodbc://sa:pw@127.0.0.1/db?TrustServerCertificate=yes", True),
        ("mssql+pyodbc://sa:pw@host/db?Encrypt=yes", True),
    ],
)
def test_a_protected_profile_insists_on_checked_encryption(url: str, allowed: bool) -> None:
    for key in ("PONDCTL_DATABASE__URL", "PONDCTL_DATABASE__STATE_URL"):
        environ = {"PONDCTL_DATABASE__URL": "sqlite:///x.db", key: url, "PONDCTL_PROTECTED": "true"}
        settings = load(environ=environ)
        if allowed:
            settings.database_url()
            continue
        with pytest.raises(ConfigurationError, match="certificate check"):
            settings.database_url()


def test_missing_settings_are_named_by_key() -> None:
    settings = load(environ={"PONDCTL_POND__DISTRIBUTOR_ID": "0"})

    with pytest.raises(ConfigurationError, match=r"pond\.api_key, thingspace\.client_id$"):
        settings.require("pond.api_key", "thingspace.client_id", "pond.distributor_id", "thingspace.base_url")


# The policy of the host


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a policy that is in force")


def policy(folder: Path, text: str, mode: int = 0o644) -> Path:
    path = folder / "policy.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


POLICY = """
protected = true
[access]
role = "operator"
service_provider_ids = [4, 5]
[limits]
max_terminations_per_run = 50
retention_days = 30
"""


@needs_root
def test_the_policy_tightens_what_is_looser_and_leaves_what_is_tighter(tmp_path: Path) -> None:
    path = policy(tmp_path, POLICY)
    environ = {
        "PONDCTL_ACCESS__ROLE": "admin",
        "PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[5, 6]",
        "PONDCTL_LIMITS__MAX_TERMINATIONS_PER_RUN": "10",
        "PONDCTL_LIMITS__RETENTION_DAYS": "7",
        "PONDCTL_LIMITS__MAX_REPLACEMENTS_PER_RUN": "99999",
    }

    settings = load(environ=environ, policy_file=path)

    assert settings.protected
    assert settings.access.role == "operator"
    assert settings.access.service_provider_ids == (5,)
    assert settings.limits.max_terminations_per_run == 10
    assert settings.limits.retention_days == 30
    assert settings.limits.max_replacements_per_run == 99999
    assert settings.origins["access.role"] == f"policy {path}"
    assert settings.origins["limits.max_terminations_per_run"].startswith("environment")
    assert load(environ={"PONDCTL_ACCESS__ROLE": "viewer"}, policy_file=path).access.role == "viewer"
    assert load(environ={}, policy_file=path).access.service_provider_ids == (4, 5)


@needs_root
def test_a_policy_that_leaves_no_provider_is_an_error_and_never_means_all(tmp_path: Path) -> None:
    environ = {"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[9]"}

    assert "none of [9] is allowed" in refused(environ=environ, policy_file=policy(tmp_path, POLICY)).message


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o644])
def test_a_policy_that_others_could_have_written_is_not_in_force_and_that_is_said(
    tmp_path: Path, mode: int
) -> None:
    path = policy(tmp_path, POLICY, mode)
    if os.geteuid() == 0 and mode == 0o644:
        os.chown(path, 12345, -1)

    settings = load(environ={}, policy_file=path)

    assert settings.access.role == "admin"
    assert settings.warnings == (
        f"the policy {path} is ignored: only root may own it and be able to write it",
    )


@needs_root
@pytest.mark.parametrize(
    "text", ["role = 'viewer'\n", "[access\n", "[queue]\n", "[limits]\nmax_error_rate = 7\n"]
)
def test_a_policy_that_cannot_be_read_stops_everything(tmp_path: Path, text: str) -> None:
    assert str(tmp_path) in refused(policy_file=policy(tmp_path, text)).message


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load(environ={})

    with pytest.raises(ValueError, match="frozen"):
        settings.protected = True  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.limits.call_seconds = 1  # type: ignore[misc]
