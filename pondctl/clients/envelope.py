"""Our own part of a message body, `{"pondctl": {…}}`: what the ten attributes have no room for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_serializer
from pydantic_core import from_json

from pondctl.clients.attributes import MAX_ATTRIBUTES, check_attributes
from pondctl.errors import MessageError

INT32: Final = 2**31 - 1
MAX_CARRIED_BYTES: Final = 32_768
_KEPT_ANCESTORS: Final = 16
ModelT = TypeVar("ModelT", bound=BaseModel)


def _naive_utc(value: object) -> object:
    """Database time is naive UTC everywhere in this program, so the envelope's is, too."""
    if not isinstance(value, str):
        return value
    try:
        when = datetime.fromisoformat(value)
        return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    except (ValueError, OverflowError):
        raise ValueError("is no ISO 8601 time") from None


Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]{1,100}$")]
Time = Annotated[datetime, BeforeValidator(_naive_utc)]


class Envelope(BaseModel):
    """What travels with a check of ours. Times are naive UTC; fields of a newer version are kept.

    `attributes` are those of the cause that found no room among the ten of the message.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    key: Key | None = None
    lineage: Annotated[tuple[Key, ...], Field(strict=False, max_length=64)] = ()
    not_before: Time | None = None
    pending_since: Time | None = None
    stalled: Annotated[int, Field(ge=0, le=INT32)] = 0
    attributes: Annotated[dict[str, str], Field(max_length=MAX_ATTRIBUTES)] = {}

    @field_serializer("not_before", "pending_since", when_used="unless-none")
    def _as_text(self, when: datetime) -> str:
        return when.isoformat() + "Z"

    def to_body(self) -> str:
        """The message body, in ASCII."""
        fields = self.model_dump(exclude_defaults=True)
        return json.dumps({"pondctl": fields}, allow_nan=False, separators=(",", ":"))

    def descent(self) -> tuple[str, ...]:
        """The lineage of a message made from this one: the first ancestor and the latest."""
        line = (*self.lineage, *([self.key] if self.key else []))
        return line[:1] + line[1:][-_KEPT_ANCESTORS:]


_NOTHING: Final = Envelope()


def parse_envelope(body: str) -> Envelope:
    """Read our part of a body; any other text means an empty envelope, a broken one `MessageError`."""
    if '"pondctl"' not in body:
        return _NOTHING
    try:
        document = from_json(body, allow_inf_nan=False)
    except (ValueError, TypeError):
        if body.lstrip().startswith("{"):
            raise MessageError("body", "holds an envelope that cannot be read") from None
        return _NOTHING
    if not isinstance(document, dict) or "pondctl" not in document:
        return _NOTHING
    envelope = validated(Envelope, document["pondctl"], "body.pondctl.")
    check_attributes(envelope.attributes, "body.pondctl.attributes")
    try:
        extra = json.dumps(envelope.model_extra, allow_nan=False)
    except ValueError:
        raise MessageError("body.pondctl", "holds a number that is none") from None
    if len(extra) > MAX_CARRIED_BYTES:
        raise MessageError("body.pondctl", f"holds more than {MAX_CARRIED_BYTES} characters")
    return envelope


def validated(model: type[ModelT], fields: object, place: str = "") -> ModelT:
    """Return the model; pydantic's first complaint becomes a `MessageError` that repeats no value."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # Only the outermost name: the inner ones come from the sender.
        field = place + str(first["loc"][0]) if first["loc"] else place.rstrip(".")
        if first["type"] == "less_than_equal":
            # The limit itself reads like a phone number, and logs would hide it as one.
            raise MessageError(field, "is too large a number") from None
        raise MessageError(field, first["msg"].removeprefix("Value error, ")) from None
