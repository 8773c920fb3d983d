"""Ask before what concerns many devices; their number is typed where they would be gone for good."""

from __future__ import annotations

from pondctl.context import AppContext
from pondctl.errors import ConfirmationMissingError, DeclinedError

# Up to so many nothing is asked.
MANY = 10


def confirm_many(
    app: AppContext,
    question: str,
    devices: int,
    *,
    yes: bool,
    confirm: str | None = None,
    typed: bool = False,
) -> None:
    """Go on only where that is certain. `typed`: the number is typed, and a protected profile is named.

    Raises `ConfirmationMissingError` where nobody can be asked, `DeclinedError` after a no.
    """
    profile = app.settings.profile
    unnamed = typed and app.settings.protected and confirm is None
    if (devices > MANY and unnamed) or (confirm is not None and confirm != profile):
        raise ConfirmationMissingError(
            f"profile {profile} is protected: {devices:,} devices need its name",
            hint=f"add --confirm {profile}",
        )
    if yes or devices <= MANY:
        return
    # At the prompt Ctrl-C ends the program at once: nothing has begun.
    app.stops_in_order = False
    if not app.output.confirm(question, str(devices) if typed else None):
        raise DeclinedError("declined: nothing was written")
    app.stops_in_order = True
