"""What a URL in the settings may be, and how one is shown without its password."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlencode, urlsplit

_SECRET_PARAMETER = re.compile(r"(?i)pass|pwd|secret|token|key")
_ODBC_PASSWORD = re.compile(r"(?i)(?:^|;)\s*(?:pwd|password)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)")
_ODBC_SERVER = re.compile(r"(?i)(?:^|;)\s*(?:server|addr|address|data source)\s*=\s*([^;]*)")
_ODBC_DATABASE = re.compile(r"(?i)(?:^|;)\s*(?:database|initial catalog)\s*=\s*([^;]*)")
# As SQLAlchemy reads it: a password may hold a raw slash or question mark.
_DATABASE_URL = re.compile(
    r"(?P<scheme>[\w+.-]+)://(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?(?P<rest>.*)", re.S
)
_UNCHECKED_TLS = re.compile(
    r"(?i)trust\s?server\s?certificate\s*=\s*(?:yes|true|1)|(?<!\w)encrypt\s*=\s*(?:no|false|0|optional)"
)


def carrier_url(text: str) -> str:
    """Return the URL without a final slash, or raise ValueError saying what is wrong with it."""
    if not text:
        return text
    parts = _split(text)
    _require_tls(parts)
    if parts.query or parts.fragment:
        raise ValueError("must have no query and no fragment")
    return text.rstrip("/")


def queue_url(text: str) -> str:
    """Return the URL of an SQS queue as it is, or raise ValueError; `database` is the embedded queue."""
    if text in ("", "database"):
        return text
    parts = _split(text)
    _require_tls(parts)
    if parts.query or parts.fragment:
        raise ValueError("must have no query and no fragment")
    if "/" not in parts.path.strip("/"):
        raise ValueError("must be the whole URL of a queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is no valid URL") from None
    if not parts.hostname or any(char.isspace() for char in text):
        raise ValueError("is no valid URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user and no password")
    return parts


def _require_tls(parts: SplitResult) -> None:
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return
    raise ValueError("must begin with https:// (http:// only for a server on this machine)")


def is_loopback(host: str | None) -> bool:
    """Whether this host name is this very machine; names that only resolve to it are not trusted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def database_passwords(url: str) -> list[str]:
    """Return every password that a database URL holds, decoded, wherever it stands."""
    parts = _database_parts(url)
    if parts is None:
        return [url]  # whatever was pasted here, it may be one
    # A raw @ or ? in a password cuts it short for every parser; what was meant is hidden all the same.
    meant = url.partition("://")[2].rpartition("@")[0].partition(":")[2] if parts.password else ""
    found = [unquote(parts.password), parts.password, meant]
    for name, value in parse_qsl(parts.query):
        if name.lower() == "odbc_connect":
            # As it is meant and as it stands there, its closing braces doubled: a text may show either.
            for match in _ODBC_PASSWORD.finditer(value):
                found += [_unbraced(match[1]), match[1].strip().removeprefix("{").removesuffix("}")]
        elif _SECRET_PARAMETER.search(name):
            found.append(value)
    return [password for password in dict.fromkeys(found) if password]


def masked_database_url(url: str) -> str:
    """Return the URL with `***` for its passwords; nothing of a connection string but `***`."""
    parts = _database_parts(url)
    if parts is None:
        return "***"
    password = ":***" if parts.password else ""
    userinfo = f"{parts.user}{password}@" if parts.user or password else ""
    shown = [(name, "***" if _hides(name) else value) for name, value in parse_qsl(parts.query)]
    query = f"?{urlencode(shown, safe='*/ ')}" if shown else ""
    return f"{parts.scheme}://{userinfo}{parts.place}{query}"


def database_place(url: str) -> str:
    """Return host and name of a database for people; never its user, its password or its parameters."""
    parts = _database_parts(url)
    if parts is None:
        return "an unreadable URL"
    connection = dict(parse_qsl(parts.query)).get("odbc_connect")
    if connection is not None:
        server, name = _ODBC_SERVER.search(connection), _ODBC_DATABASE.search(connection)
        return "/".join(match[1].strip() for match in (server, name) if match) or "a connection string"
    place = parts.place.removeprefix("/") if parts.scheme.startswith("sqlite") else parts.place
    return unquote(place) or "in memory"


def has_unchecked_tls(url: str) -> bool:
    """Whether a SQL Server URL to another machine switches encryption or the certificate check off."""
    host = database_place(url).removeprefix("tcp:").partition("/")[0]
    bare = host.partition(",")[0].partition(":")[0]
    return bool(_UNCHECKED_TLS.search(unquote_plus(url))) and not is_loopback(bare)


class _DatabaseParts(NamedTuple):
    scheme: str
    user: str
    password: str
    place: str
    query: str


def _database_parts(url: str) -> _DatabaseParts | None:
    match = _DATABASE_URL.fullmatch(url)
    if match is None:
        return None
    place, _, query = match["rest"].partition("?")
    password = match["password"] or ""
    if match["user"] is not None and "@" in place:  # a raw @ in the password
        more, _, place = place.rpartition("@")
        password = f"{password}@{more}"
    return _DatabaseParts(match["scheme"], match["user"] or "", password, place, query)


def _hides(name: str) -> bool:
    return name.lower() == "odbc_connect" or bool(_SECRET_PARAMETER.search(name))


def _unbraced(value: str) -> str:
    return value[1:-1].replace("}}", "}") if value.startswith("{") else value.strip()
