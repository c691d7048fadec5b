"""The one place where errors of boto3 become errors of this package."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from storage.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_FOUND = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403"}
_TRANSIENT = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "500",
    "503",
    "ConditionalRequestConflict",
}


@contextmanager
def translated(action: str, uri: str) -> Iterator[None]:
    """Turn what boto3 raises while doing `action` on `uri` into a `StorageError`."""
    try:
        yield
    except ClientError as error:
        raise _from_code(error, action, uri) from error
    except NoCredentialsError as error:
        raise StorageDeniedError(
            f"Could not {action} {uri}: no S3 credentials found. Set AWS_ACCESS_KEY_ID and"
            ' AWS_SECRET_ACCESS_KEY; with the embedded stack: eval "$(make -s env)"'
        ) from error
    except (
        BotoConnectionError,
        HTTPClientError,
        IncompleteReadError,
        ResponseStreamingError,
    ) as error:
        raise StorageUnavailableError(
            f"Could not {action} {uri}: S3 does not answer ({_redacted(error)}). Is it running, and is"
            " AWS_ENDPOINT_URL_S3 right? Then try again"
        ) from error
    except BotoCoreError as error:
        raise StorageError(f"Could not {action} {uri}: {_redacted(error)}") from error


def _redacted(error: Exception) -> str:
    # An endpoint may be written with a login in it.
    return re.sub(r"//[^/@\s]*@", "//***@", str(error))


def _from_code(error: ClientError, action: str, uri: str) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    said = f"Could not {action} {uri}"
    if code == "NoSuchBucket":
        bucket = uri.removeprefix("s3://").split("/", 1)[0]
        return ObjectNotFoundError(
            f"{said}: there is no bucket {bucket!r}. Create it, or correct GREENROOM_DATA"
        )
    if code in _NOT_FOUND:
        return ObjectNotFoundError(f"{said}: it is not there (S3 answered {code})")
    if code in {"PreconditionFailed", "412"}:
        return ObjectChangedError(f"{said}: it was replaced since it was listed. Run again")
    if code in _DENIED:
        return StorageDeniedError(
            f"{said}: S3 refused ({code}). Check the bucket's name, AWS_ACCESS_KEY_ID and what it may do"
        )
    if code in _TRANSIENT:
        return StorageUnavailableError(f"{said}: S3 asks to try later ({code})")
    return StorageError(f"{said}: S3 answered {code}: {_redacted(error)}")
