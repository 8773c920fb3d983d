"""The full-screen view of dead letters; it needs the extra `review`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pondctl.errors import ConfigurationError

if TYPE_CHECKING:
    from pondctl.output.review_desk import ReviewDesk


def require_review() -> None:
    """Raise where the extra is not installed."""
    try:
        import textual  # noqa: F401 - only whether it is there
    except ImportError:
        raise ConfigurationError(
            "the full-screen view is not installed",
            hint="pip install 'pondctl[review]'; until then `pondctl dead-letter list` and `show`",
        ) from None


def open_review(desk: ReviewDesk) -> None:
    """Show it until the person leaves or a signal comes."""
    require_review()
    from pondctl.output.review_app import ReviewApp

    # No mouse: it is for ssh, and the terminal keeps its own way to mark and copy.
    ReviewApp(desk).run(mouse=False)
