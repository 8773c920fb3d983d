"""Secrets in all the places where a deployment has them, and the search for them afterwards."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

CLIENT_SECRET = "Planted/oauth+secret=1"
THINGSPACE_PASSWORD = "Planted ts:pässword2"
POND_KEY = "Planted-pond-key-3"
BASIC_PASSWORD = "Planted-basic@pass-4"
SQL_PASSWORD = "Planted{sql};%pass-5"
AWS_KEY_ID = "AKIAPLANTEDPLANTED16"
AWS_SECRET = "PlantedwJalrXUtnFEMI/K7MDENG6"
PROXY_PASSWORD = "Planted-proxy-pass-7"
URL_KEY = "Planted-url-key-8"
CALLBACK_PASSWORD = "Planted-callback-9"
WEBHOOK_PASSWORD = "Planted-webhook-11"
WEBHOOK_TOKEN = "PlantedT0KEN/in/path-12"
EXCEPTION_TEXT = "Planted-in-exception-10"


@dataclass
class Search:
    """Looks for secrets in every spelling that a log, a URL, JSON, HTML or a header gives them."""

    secrets: dict[str, str]
    looked_at: int = 0
    hits: list[str] = field(default_factory=list)

    def look(self, where: str, text: str) -> None:
        """Note each secret that stands in the text."""
        self.looked_at += 1
        for name, secret in self.secrets.items():
            self.hits += [f"{name} in {where}" for spelling in spellings(secret) if spelling in text]

    def look_in_files(self, folder: Path, leaving_out: Iterable[Path] = ()) -> None:
        """The same in all files below a folder, whatever they are."""
        for path in folder.rglob("*"):
            if path.is_file() and path not in set(leaving_out):
                self.look(path.name, path.read_bytes().decode("latin-1"))
                self.look(path.name, path.read_bytes().decode("utf-8", "ignore"))


def spellings(secret: str) -> set[str]:
    """How a secret may be written."""
    raw = secret.encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        raw.hex(),
        # Whole groups of three: what stands around them cannot change them.
        base64.b64encode(raw[: len(raw) // 3 * 3]).decode(),
        base64.b64encode(f"user:{secret}".encode()).decode().rstrip("=")[8:-2],
    }
