"""The boto3 side of SQS: one client with one known retry mode, and its errors in our words."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pondctl.clients._trouble import tls_refusal
from pondctl.errors import ConfigurationError, PermissionDeniedError, PondctlError, QueueUnavailableError
from pondctl.telemetry import exchanges

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS: Final = 5
# Longer than the longest poll of 20 s, or each quiet poll would look like an outage.
READ_SECONDS: Final = 30
_REGION: Final = re.compile(r"(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+)\.|^([a-z0-9-]+)\.queue\.")
_REFUSED: Final = re.compile(
    "Denied|Unauthorized|NotAuthorized|AuthFailure|OptInRequired|InvalidSecurity|Expired|Token|Signature"
    "|AccessKey|UnrecognizedClient|TooSkewed"
)
_NO_CREDENTIALS: Final = re.compile("Credential|Token|SSO|Login")
_MISCONFIGURED: Final = re.compile(
    "ProfileNotFound|Config|Region|Validation|^Invalid|^Unknown|EndpointProvider"
)


def connect(queue_url: str, endpoint_url: str = "", connections: int = 10) -> SQSClient:
    """Build a client that talks to the host of the queue URL, or to `endpoint_url`; sends nothing yet."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=connections,
    )
    address = urlsplit(queue_url)
    with aws_errors("Connect", queue_url):
        # A session of our own: boto3's default one must not be shared by threads while it is built.
        session = boto3.session.Session()
        # The host names the region, but for local servers, which do not care.
        region = region_of(queue_url) or session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
        endpoint = endpoint_url or f"{address.scheme}://{address.netloc}"
        client = session.client("sqs", region_name=region, endpoint_url=endpoint, config=config)
    client.meta.events.register("after-call.sqs", _refuse_web_page)
    if exchanges.is_on():
        client.meta.events.register("before-send.sqs", _remember)
        client.meta.events.register("response-received.sqs", _show)
    return client


_sent = threading.local()


def _remember(request: AWSPreparedRequest, **_: object) -> None:
    _sent.request = request


def _show(
    response_dict: Mapping[str, Any] | None = None, exception: Exception | None = None, **_: object
) -> None:
    request, answer = _sent.request, None
    body = request.body or b""
    if response_dict is not None:
        headers = exchanges.headers_of(response_dict["headers"])
        answer = (response_dict["status_code"], headers, response_dict["body"])
    exchanges.show_exchange(
        carrier="sqs",
        method=request.method,
        url=request.url,
        request=(exchanges.headers_of(request.headers), body if isinstance(body, bytes) else body.encode()),
        answer=answer,
        error=None if exception is None else type(exception).__name__,
    )


def _refuse_web_page(http_response: AWSResponse, **_: object) -> None:
    """botocore reads a proxy's page with status 200 as an empty answer: a queue without messages."""
    from botocore.parsers import ResponseParserError

    if "json" not in http_response.headers.get("content-type", "json"):
        raise ResponseParserError("no JSON")


def region_of(queue_url: str) -> str | None:
    """Return the region that the host of a queue URL names."""
    match = _REGION.search(urlsplit(queue_url).hostname or "")
    return (match[1] or match[2]) if match else None


def name_of(queue_url: str) -> str:
    """Return the name of the queue, as messages to people say it."""
    return queue_url.rstrip("/").rpartition("/")[2]


@contextmanager
def aws_errors(operation: str, queue_url: str) -> Iterator[None]:
    """Turn what boto3 raises into our errors, naming the AWS code.

    AWS's own text is left out, and so is the chained exception: a signature error quotes the signed
    headers, session token included.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _service_error(operation, name_of(queue_url), code, status) from None
    except (BotoCoreError, ResponseParserError, ValueError) as error:
        refused = tls_refusal(
            error, urlsplit(getattr(error, "kwargs", {}).get("endpoint_url") or queue_url).netloc
        )
        if refused is not None:
            raise QueueUnavailableError(
                refused,
                hint="The check cannot be turned off. AWS_CA_BUNDLE can name a company's own authority.",
            ) from None
        raise _local_error(operation, name_of(queue_url), type(error).__name__) from None
    except (AttributeError, IndexError, KeyError, TypeError, RecursionError):
        # JSON of another shape, which botocore does not expect: a proxy, or another service.
        raise QueueUnavailableError(
            f"what answered {operation} on queue {name_of(queue_url)} is not SQS",
            hint="check queue.url and queue.endpoint_url",
        ) from None


def _service_error(operation: str, queue: str, code: str, status: int) -> PondctlError:
    forbidden = status in (401, 403) and "Throttl" not in code
    if forbidden or _REFUSED.search(code):
        return PermissionDeniedError(
            f"SQS refused {operation} on queue {queue}: {code}",
            hint=f"valid AWS credentials with the right sqs:{operation.removesuffix('Batch')} are needed",
        )
    missing = "NonExistentQueue" in code or "QueueDoesNotExist" in code
    return QueueUnavailableError(
        f"SQS did not do {operation} on queue {queue}: {code}",
        hint=f"see which of queue.url, queue.dead_letter_url and queue.foreign_url names {queue}; "
        "check its account and its region"
        if missing
        else None,
    )


def _local_error(operation: str, queue: str, name: str) -> PondctlError:
    if _NO_CREDENTIALS.search(name):
        return PermissionDeniedError(
            f"no AWS credentials for queue {queue}: {name}",
            hint="set them in the environment, in an AWS profile or by a role",
        )
    if name == "ValueError" or _MISCONFIGURED.search(name):
        return ConfigurationError(
            f"the AWS settings for queue {queue} do not work: {name}",
            hint="check queue.url, queue.endpoint_url and the AWS environment variables",
        )
    return QueueUnavailableError(f"SQS gave no answer to {operation} on queue {queue}: {name}")
