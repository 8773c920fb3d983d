"""ThingSpace's paths."""

from __future__ import annotations

from functools import partial

from pondctl.sandbox.routes import Route
from pondctl.sandbox.thingspace.actions import DEACTIVATE, RESTORE, SUSPEND
from pondctl.sandbox.thingspace.errors import gateway_fault, xml_fault
from pondctl.sandbox.thingspace.world import ThingSpace
from pondctl.sandbox.wire import Call

PREFIX = "/api"
_M2M = f"{PREFIX}/m2m/v1"
_ACTIONS = f"{_M2M}/devices/actions"


def thingspace_routes(world: ThingSpace) -> list[Route]:
    """All endpoints of the simulated ThingSpace."""
    return [*_token_routes(world), *_device_routes(world), *_account_routes(world)]


def _token_routes(world: ThingSpace) -> list[Route]:
    tokens = world.tokens
    oauth, session = f"{PREFIX}/ts/v1/oauth2", f"{_M2M}/session"
    return [
        Route("thingspace.token", "POST", f"{oauth}/token", _nothing, tokens.token),
        Route("thingspace.revoke", "POST", f"{oauth}/revoke", _nothing, tokens.revoke),
        Route("thingspace.login", "POST", f"{session}/login", tokens.check_bearer, tokens.login),
        Route("thingspace.logout", "POST", f"{session}/logout", tokens.check_both, tokens.logout),
    ]


def _device_routes(world: ThingSpace) -> list[Route]:
    check, listing, provisioning = world.tokens.check_both, world.listing, world.provisioning
    suspend, restore, deactivate = (
        partial(provisioning.act, action) for action in (SUSPEND, RESTORE, DEACTIVATE)
    )
    history = f"{_M2M}/devices/history/actions/list"
    return [
        Route(_list_endpoint, "POST", f"{_ACTIONS}/list", check, listing.list_devices),
        Route("thingspace.get", "GET", f"{PREFIX}/devices/{{iccid}}", check, listing.get_device),
        Route("thingspace.get", "GET", "/devices/{iccid}", check, listing.get_device),
        Route("thingspace.activate", "POST", f"{_ACTIONS}/activate", check, provisioning.activate),
        Route("thingspace.suspend", "POST", f"{_ACTIONS}/suspend", check, suspend),
        Route("thingspace.restore", "POST", f"{_ACTIONS}/restore", check, restore),
        Route("thingspace.deactivate", "POST", f"{_ACTIONS}/deactivate", check, deactivate),
        Route("thingspace.history", "POST", history, check, provisioning.history),
    ]


def _account_routes(world: ThingSpace) -> list[Route]:
    check, account = world.tokens.check_both, world.account
    callbacks = f"{_M2M}/callbacks/{{account}}"
    status = f"{_M2M}/accounts/{{account}}/requests/{{request_id}}/status"
    listener = f"{callbacks}/name/{{service}}"
    return [
        Route("thingspace.account", "GET", f"{_M2M}/accounts/{{account}}", check, account.account),
        Route("thingspace.plans", "GET", f"{_M2M}/plans/{{account}}", check, account.plans),
        Route("thingspace.request_status", "GET", status, check, world.provisioning.request_status),
        Route("thingspace.callbacks", "GET", callbacks, check, account.callbacks),
        Route("thingspace.register_callback", "POST", callbacks, check, account.register),
        Route("thingspace.deregister_callback", "DELETE", listener, check, account.deregister),
    ]


def no_such_path(call: Call, *, path_known: bool) -> None:
    """Refuse what is not served, in the gateway's two ways."""
    if path_known or not call.path.startswith(f"{PREFIX}/"):
        raise xml_fault(404, "404", "Not Found", f"No matching resource for {call.method} {call.path}")
    raise gateway_fault(400, "900906", "No matching resource found in the API", call.path)


def _list_endpoint(body: bytes) -> str:
    return "thingspace.lookup" if b'"deviceId"' in body else "thingspace.page"


def _nothing(_call: Call) -> None:
    """The token endpoint checks its own credential."""
