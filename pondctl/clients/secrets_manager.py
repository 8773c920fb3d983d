"""AWS Secrets Manager, for settings that refer to a secret there."""

from __future__ import annotations

import json
import re
from typing import Final

from pondctl.errors import ConfigurationError, PermissionDeniedError, UnavailableError

_IS_TROUBLE: Final = re.compile("Throttl|TooManyRequests|Internal|Unavailable")


def read_secret(name: str) -> str:
    """Return the secret ID, or with ID#KEY one key of its JSON. Errors name the id, never the value."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    secret_id, _, key = name.partition("#")
    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)
    try:
        client = boto3.session.Session().client("secretsmanager", config=config)
        text = str(client.get_secret_value(SecretId=secret_id).get("SecretString", ""))
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code == "ResourceNotFoundException":
            raise ConfigurationError(f"AWS Secrets Manager has no secret {secret_id}") from None
        if _IS_TROUBLE.search(code):
            raise UnavailableError(f"AWS Secrets Manager gave no answer about {secret_id}: {code}") from None
        raise PermissionDeniedError(f"AWS Secrets Manager refused {secret_id}: {code}") from None
    except (HTTPClientError, NoConnectionError):
        raise UnavailableError(f"AWS Secrets Manager gave no answer about {secret_id}") from None
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint or region that is none
        raise ConfigurationError(
            f"AWS Secrets Manager cannot be asked for {secret_id}: {type(error).__name__}",
            hint="set AWS credentials and AWS_REGION",
        ) from None
    return _one_key(secret_id, text, key) if key else text


def _one_key(secret_id: str, text: str, key: str) -> str:
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"secret {secret_id} of AWS Secrets Manager has no key {key}") from None
