from __future__ import annotations

import httpx
import pytest

from pondctl.sandbox import Sandbox, SandboxConfig
from tests.sandbox.callers import LIST, ThingSpaceCaller

SESSION = "UnifiedWebService.REQUEST_FAILED.SessionToken"


def test_a_token_asked_for_again_within_its_hour_is_the_same_with_less_time_left(
    sandbox: Sandbox, outside: ThingSpaceCaller
) -> None:
    first = outside.token().json()
    sandbox.advance(600)
    second = outside.token().json()

    assert first["token_type"] == "Bearer"
    assert second["access_token"] == first["access_token"]
    assert 3590 <= first["expires_in"] <= 3600
    assert 2990 <= second["expires_in"] <= 3000


def test_after_its_hour_the_token_is_another(sandbox: Sandbox, outside: ThingSpaceCaller) -> None:
    first = outside.token().json()
    sandbox.advance(3601)
    second = outside.token().json()

    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] >= 3590


def test_a_revoked_token_is_over_and_the_next_is_another(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    token = thingspace.token().json()["access_token"]
    auth = (sandbox.config.client_id, sandbox.config.client_secret)
    form = {"grant_type": "client_credentials", "token": token}

    revoked = thingspace.http.post("/ts/v1/oauth2/revoke", data=form, auth=auth)

    assert (revoked.status_code, revoked.content) == (200, b"")
    assert thingspace.page().json()["fault"]["code"] == "900901"
    assert thingspace.token().json()["access_token"] != token


@pytest.mark.parametrize("auth", [None, ("sandbox-client", "wrong"), ("wrong", "sandbox-client-secret")])
def test_a_wrong_client_gets_no_token(outside: ThingSpaceCaller, auth: tuple[str, str] | None) -> None:
    answer = outside.http.post(
        "/ts/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=auth or httpx.USE_CLIENT_DEFAULT,
    )

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


def test_the_token_endpoint_takes_forms_only(sandbox: Sandbox, outside: ThingSpaceCaller) -> None:
    auth = (sandbox.config.client_id, sandbox.config.client_secret)
    answer = outside.http.post("/ts/v1/oauth2/token", json={"grant_type": "client_credentials"}, auth=auth)

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


def test_another_grant_type_is_refused(outside: ThingSpaceCaller) -> None:
    answer = outside.token(grant_type="password")

    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"


def test_a_call_without_bearer_is_refused_by_the_gateway(outside: ThingSpaceCaller) -> None:
    answer = outside.page()

    assert answer.status_code == 401
    assert answer.json()["fault"]["code"] == "900902"


def test_another_kind_of_authorisation_is_refused_in_xml(outside: ThingSpaceCaller) -> None:
    outside.headers["Authorization"] = "Basic c2FuZGJveA=="

    answer = outside.page()

    assert answer.status_code == 403
    assert "<am:code>404</am:code>" in answer.text


@pytest.mark.parametrize("path", ["/m2m/v1/session/login", LIST, "/m2m/v1/devices/actions/suspend"])
def test_a_wrong_or_expired_bearer_is_refused_everywhere_also_at_login(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, path: str
) -> None:
    sandbox.advance(3601)
    expired = thingspace.post(path, {})
    thingspace.headers["Authorization"] = "Bearer made-up"
    wrong = thingspace.post(path, {})

    assert (expired.status_code, expired.json()["fault"]["code"]) == (401, "900901")
    assert (wrong.status_code, wrong.json()["fault"]["code"]) == (401, "900901")
    assert sandbox.thingspace.failed_logins == 0


def test_a_missing_session_an_unknown_one_and_an_idle_one_have_their_own_codes(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    session = thingspace.headers.pop("VZ-M2M-Token")
    missing = thingspace.page()
    thingspace.headers["VZ-M2M-Token"] = "11111111-2222-4333-8444-555555555555"
    unknown = thingspace.page()
    thingspace.headers["VZ-M2M-Token"] = session
    sandbox.advance(1201)
    idle = thingspace.page()

    assert [answer.status_code for answer in (missing, unknown, idle)] == [400, 400, 400]
    assert missing.json()["errorCode"] == f"{SESSION}.Format"
    assert unknown.json()["errorCode"] == "UnifiedWebService.INPUT_INVALID.SessionToken.Invalid"
    assert idle.json()["errorCode"] == f"{SESSION}.Expired"


def test_using_a_session_keeps_it_alive(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    for _ in range(2):
        sandbox.advance(1100)
        assert thingspace.page().status_code == 200


def test_a_new_login_ends_the_old_session(thingspace: ThingSpaceCaller) -> None:
    thingspace.login()

    assert thingspace.page().json()["errorCode"] == "UnifiedWebService.INPUT_INVALID.SessionToken.Invalid"


def test_where_sessions_are_many_a_new_login_leaves_the_old_one() -> None:
    with Sandbox(SandboxConfig(login_ends_session=False)) as sandbox:
        caller = ThingSpaceCaller(sandbox)
        with caller.http:
            caller.enter()
            caller.login()
            assert caller.page().status_code == 200


def test_logout_answers_with_the_session_that_ended(thingspace: ThingSpaceCaller) -> None:
    answer = thingspace.http.post("/m2m/v1/session/logout", headers=thingspace.headers)

    assert answer.json() == {"sessionToken": thingspace.headers["VZ-M2M-Token"]}
    assert thingspace.page().status_code == 400


def test_five_refused_logins_in_a_row_lock_the_user_until_it_is_unlocked(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    refused = [thingspace.login("wrong") for _ in range(5)]
    locked = thingspace.login()
    sandbox.advance(100_000)

    assert {answer.json()["errorCode"] for answer in refused} == {
        "UnifiedWebService.INPUT_INVALID.Password.Invalid"
    }
    assert locked.status_code == 400
    assert sandbox.thingspace.locked

    sandbox.thingspace.unlock()
    thingspace.enter()
    assert thingspace.page().status_code == 200


def test_a_good_login_begins_the_count_of_refusals_again(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    for _ in range(3):
        for _ in range(4):
            thingspace.login("wrong")
        assert thingspace.login().status_code == 200

    assert sandbox.thingspace.failed_logins == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "sandbox-user"}, "DeserializationFailed"),
        ({"username": 1, "password": "x"}, "DeserializationFailed"),
        ([], "DeserializationFailed"),
    ],
)
def test_an_incomplete_login_is_no_refused_password(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, body: object, code: str
) -> None:
    answer = thingspace.post("/m2m/v1/session/login", body)

    assert answer.json()["errorCode"] == f"UnifiedWebService.{code}"
    assert sandbox.thingspace.failed_logins == 0
