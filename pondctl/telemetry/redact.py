"""What nobody may read in a log, an error or a crash file: secrets are gone, devices are pseudonyms.

Three nets, one after the other: the very values that the configuration handed out, in every spelling
a URL, JSON or base64 gives them; what stands behind a telling name; and shapes that are secret anywhere.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from enum import Enum

from pondctl.telemetry.identifiers import hide_identifiers, pseudonym

HIDDEN = "***"
_MAX_DEPTH = 12
# A shorter one cannot be told from ordinary text without destroying the text.
_SHORTEST = 4
_SHORTEST_BASE64 = 6
_MOST_PASSING = 16
# JSON inside JSON doubles the backslashes at each level; bounded, or a line of them takes for ever.
_ESCAPE = r"\\{0,16}"

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|api[-_ ]?key|access[-_]?key|private[-_]?key|credential"
    r"|signature|cookie|authorization|vz-m2m|session[-_]?(?:id|key)|connection[-_]?string|x-amz-security"
)
_SECRET_NAME = re.compile(rf"(?i){_NAMES}|^(?:pass|session|bearer|auth)$")
_MEASURE_NAME = re.compile(r"(?i)_(?:seconds|count|left|in|at|ms|bytes|version)$")
_DEVICE_NAME = re.compile(
    r"(?i)(?:iccid|msisdn|imsi|imei)s?$|(?:^|_)(?:mdn|meid|eid|phone)s?$|^(?:phone_?number|ip_?address)$"
)
_OWN_NAME = re.compile(r"(?i)^(?:run|request|trace|span|message)_id$")
_NUMBER_NAME = re.compile(r"(?i)(?:^|_)ids?$|(?:_|^)(?:bytes|count|total|pid|port|seconds|ms|ns|rows)$")

_VALUE = r"""(?:
    "(?:[^"\\]|\\.)*"? | '(?:[^'\\]|\\.)*'?              # quoted
  | \\{1,16}["'](?:(?!\\{1,16}["']).)*(?:\\{1,16}["'])?   # quoted inside a quoted text
  | \{[^}]*\}?                                            # ODBC
  | (?:(?!%3b|%26)[^\s,;&"'<>)\]}])+ )"""
# How our own sentences about a setting go on after its name: of a secret this would hide an article.
_NOT_PROSE = r"(?! (?:others[ ]can[ ]read|the[ ](?:environment[ ]variable|file|keyring)) [ ] )"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.S), HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"), HIDDEN),
    (re.compile(r"://[^/\s\"'<>?#]*@"), f"://{HIDDEN}@"),
    (re.compile(r"(?i)\b((?:basic|bearer)\s+)(?=\S*[0-9=_+/])[A-Za-z0-9+/=._~-]{4,}"), rf"\g<1>{HIDDEN}"),
    (
        re.compile(r"(?i)((?:authorization|cookie)[\"']?\s{0,8}[:=]\s{0,8})(?![\"'*\\{\s])[^\r\n\"']+"),
        rf"\g<1>{HIDDEN}",
    ),
    (
        re.compile(
            rf"""(?isx) ( (?:{_NAMES}) [\w.-]{{0,40}} {_ESCAPE}["']?
            \s{{0,8}} (?: =>? | : | %3d | %3a ) \s{{0,8}} b? ) {_NOT_PROSE} {_VALUE}"""
        ),
        rf"\g<1>{HIDDEN}",
    ),
)


class Secrets:
    """Values that must not be read, each with the pattern of all its spellings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._patterns: Mapping[str, re.Pattern[str]] = {}
        self._passing: list[str] = []

    def add(self, value: str, *, lasting: bool = True) -> None:
        """Look for this value from now on; of those that do not last, for the newest few."""
        with self._lock:
            if value not in self._patterns:
                more = {**self._patterns, value: re.compile("|".join(sorted(_spellings(value))))}
                if not lasting:
                    self._passing.append(value)
                    for old in self._passing[:-_MOST_PASSING]:
                        del more[old]
                    del self._passing[:-_MOST_PASSING]
                # The longest first: what is left of it must not be what a shorter one left over.
                self._patterns = dict(sorted(more.items(), key=lambda item: -len(item[0])))

    def hide(self, text: str) -> str:
        """Return `text` with `***` for every value, in whatever spelling it stands there."""
        for pattern in self._patterns.values():
            text = pattern.sub(HIDDEN, text)
        return text


_secrets = Secrets()


def register_secret(value: str, *, lasting: bool = True) -> None:
    """Never show this value again, in any spelling. Values under four characters are left to the names.

    `lasting=False` is for tokens, which are renewed every hour: the newest few are remembered.
    """
    if len(value) >= _SHORTEST:
        _secrets.add(value, lasting=lasting)


def _spellings(value: str) -> set[str]:
    """Return patterns of `value` as text (each character escaped or not), as hex, and within base64."""
    raw = value.encode("utf-8", "surrogatepass")
    spellings = {"".join(map(_spelling, value)), f"(?i:{raw.hex()})"}
    for offset in range(3):
        # Only the characters that no neighbour of the secret can change: they are there in any context.
        whole = base64.b64encode(bytes(offset) + raw)
        core = whole[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6].decode("ascii")
        if len(core) >= _SHORTEST_BASE64:
            spellings |= {re.escape(core), re.escape(core.replace("+", "-").replace("/", "_"))}
    return spellings


def _spelling(char: str) -> str:
    if char.isascii() and char.isalnum():
        return char
    raw = char.encode("utf-8", "surrogatepass").hex(" ").split()
    units = char.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    plain = {char, html.escape(char), "".join(f"%{byte}" for byte in raw), *("+" if char == " " else "")}
    plain |= {json.dumps(char)[1:-1].lstrip("\\"), ascii(char)[1:-1].lstrip("\\")} - {""}
    forms = [_ESCAPE.join(f"u{unit}" for unit in units), _ESCAPE.join(f"x{byte}" for byte in raw)]
    forms += sorted((re.escape(form) for form in plain), key=len, reverse=True)
    return rf"(?i:{_ESCAPE}(?:{'|'.join(forms)}))"


def redact_text(text: str) -> str:
    """Return `text` without secrets, and with pseudonyms for devices."""
    return hide_identifiers(_hide_secrets(text))


def _hide_secrets(text: str) -> str:
    text = _secrets.hide(text)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def redact(value: object, name: str = "", depth: int = 0) -> object:
    """Return `value` as plain data (text, numbers, lists, dicts) that may be written anywhere.

    `name` is the key it stands under. An object of any other type becomes its redacted repr, so no
    renderer can bring to light what was not looked at here.
    """
    if value is None or isinstance(value, bool) or _is_harmless_number(value, name):
        return value
    if _SECRET_NAME.search(name):
        return HIDDEN
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {redact_text(str(key)): redact(item, str(key), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [redact(item, name, depth + 1) for item in value]
    return _redact_leaf(_as_text(value), name)


def _redact_leaf(text: str, name: str) -> str:
    if _DEVICE_NAME.search(name):
        return pseudonym(text)
    return _hide_secrets(text) if _OWN_NAME.search(name) else redact_text(text)


def _is_harmless_number(value: object, name: str) -> bool:
    if not isinstance(value, int | float) or _DEVICE_NAME.search(name):
        return False
    if _SECRET_NAME.search(name) and not _MEASURE_NAME.search(name):
        return False
    if _secrets.hide(str(value)) != str(value):
        return False
    # Ten digits may be a telephone number; a fraction is none.
    few_digits = abs(value) < 10**9 or (isinstance(value, float) and not value.is_integer())
    return few_digits or bool(_NUMBER_NAME.search(name))


def _as_text(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:
        # A log line must not fail because of what it is about.
        return f"<{type(value).__name__}>"


def redact_event(_logger: object, _method: str, event: MutableMapping[str, object]) -> dict[str, object]:
    """The last processor of every log: nothing is added to an event after it."""
    clean = redact(event)
    assert isinstance(clean, dict)
    return clean
