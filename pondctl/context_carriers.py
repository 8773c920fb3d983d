"""What a command works with where carriers are concerned; each part is built on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pondctl.clients.pacing import Pace
    from pondctl.clients.pond import PondClient
    from pondctl.clients.thingspace import ThingSpaceClient
    from pondctl.clients.tokens import TokenStore
    from pondctl.context import AppContext


class CarrierContext:
    """The clients of ThingSpace and POND, their tokens and their pace."""

    def __init__(self, app: AppContext) -> None:
        self._app = app

    @cached_property
    def shared_tokens(self) -> TokenStore:
        """The ThingSpace tokens that all processes and hosts share."""
        from pondctl.db.tokens import DatabaseTokenStore
        from pondctl.services.running.process import is_gone, this_process

        self._app.settings.require(
            "thingspace.client_id", "thingspace.client_secret", "thingspace.username", "thingspace.password"
        )
        thingspace = self._app.settings.thingspace
        return DatabaseTokenStore(
            self._app.database,
            base_url=thingspace.base_url,
            client_id=thingspace.client_id,
            client_secret=thingspace.client_secret.reveal(),
            username=thingspace.username,
            password=thingspace.password.reveal(),
            process=this_process(),
            is_gone=is_gone,
        )

    @property
    def token_store(self) -> TokenStore:
        """Those tokens; who only looks may lack the right to keep new ones."""
        from pondctl.clients.looking import LookingTokens

        looks = self._app.admission.role == "viewer"
        return LookingTokens(self.shared_tokens) if looks else self.shared_tokens

    def pace(self, carrier: str, account: str, requests_per_second: float) -> Pace:
        """Allow calls at a rate that all processes share; a dry run, which writes nothing, keeps its own."""
        from pondctl.clients.looking import LookingPace
        from pondctl.clients.pacing import LocalPace
        from pondctl.db.pace import DatabasePace

        own = LocalPace(requests_per_second, self._app.stop)
        if self._app.dry_run:
            return own
        shared = DatabasePace(self._app.database, f"{carrier}:{account}", requests_per_second, self._app.stop)
        return LookingPace(shared, own) if self._app.admission.role == "viewer" else shared

    @cached_property
    def thingspace(self) -> ThingSpaceClient:
        """The ThingSpace client; logs in at its first call."""
        return self.open_thingspace(self.token_store)

    def open_thingspace(self, tokens: TokenStore) -> ThingSpaceClient:
        """A ThingSpace client that keeps its tokens there."""
        from pondctl.clients.thingspace import connect

        settings, limits = self._app.settings.thingspace, self._app.settings.limits
        client = connect(
            base_url=settings.base_url,
            account_name=settings.account_name,
            client_id=settings.client_id,
            client_secret=settings.client_secret.reveal(),
            username=settings.username,
            password=settings.password.reveal(),
            tokens=tokens,
            pace=self.pace("thingspace", settings.account_name, settings.requests_per_second),
            stop=self._app.stop,
            call_seconds=limits.call_seconds,
            outage_seconds=limits.outage_seconds,
            lookup=settings.lookup,
            workers=self._app.workers,
        )
        self._app.when_closed(client.close)
        return client

    @cached_property
    def pond(self) -> PondClient:
        """The POND client; nothing is sent before its first call."""
        from pondctl.clients.pond import connect

        self._app.settings.require("pond.base_url", "pond.distributor_id", "pond.api_key")
        settings, limits = self._app.settings.pond, self._app.settings.limits
        distributor_id = settings.distributor_id or 0
        client = connect(
            base_url=settings.base_url,
            api=settings.api,
            distributor_id=distributor_id,
            api_key=settings.api_key.reveal(),
            api_key_header=settings.api_key_header,
            username=settings.username,
            password=settings.password.reveal(),
            write_enabled=settings.write_enabled,
            pace=self.pace("pond", str(distributor_id), settings.requests_per_second),
            stop=self._app.stop,
            call_seconds=limits.call_seconds,
            outage_seconds=limits.outage_seconds,
            workers=self._app.workers,
        )
        self._app.when_closed(client.close)
        return client
