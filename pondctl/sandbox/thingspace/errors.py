"""The four shapes in which ThingSpace says no. Codes without a published value are marked as stand-ins."""

from __future__ import annotations

from xml.sax.saxutils import escape

from pondctl.sandbox.wire import Answer, Refused, json_answer

SERVICE = "UnifiedWebService"
# Stand-ins: the codes for a wrong password and for a locked login are not published.
PASSWORD_INVALID = "INPUT_INVALID.Password.Invalid"
LOGIN_LOCKED = "REQUEST_FAILED.Login.Locked"


def error_body(code: str, message: str) -> dict[str, str]:
    """The object of the connectivity service."""
    name = code if code.startswith(SERVICE) else f"{SERVICE}.{code}"
    return {"errorCode": name, "errorMessage": message}


def api_error(code: str, message: str, status: int = 400) -> Refused:
    """Refusal by the connectivity service."""
    return Refused(json_answer(error_body(code, message), status))


def gateway_fault(status: int, code: str, message: str, description: str) -> Refused:
    """Refusal by the gateway in front of it."""
    body = {"fault": {"code": code, "message": message, "description": description}}
    return Refused(json_answer(body, status))


def oauth_error(status: int, error: str, description: str) -> Refused:
    """Refusal by the token endpoint."""
    return Refused(json_answer({"error": error, "error_description": description}, status))


def xml_fault(status: int, code: str, message: str, description: str) -> Refused:
    """Refusal by the gateway where it does not speak JSON."""
    body = (
        '<am:fault xmlns:am="http://wso2.org/apimanager">'
        f"<am:code>{code}</am:code><am:type>Status report</am:type>"
        f"<am:message>{escape(message)}</am:message>"
        f"<am:description>{escape(description)}</am:description></am:fault>"
    )
    return Refused(Answer(status, body.encode(), "application/xml; charset=UTF-8"))
