"""Where S3 is and who we are there, from the standard `AWS_*` variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class S3Settings:
    """Connection to one S3 service. Without an endpoint it is AWS itself.

    Without keys, boto3's and deltalake's own chains (profile, instance role, …) apply. `delta_retries` is how
    often deltalake asks again (ten times by itself, which takes it a quarter of a minute).
    """

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    delta_retries: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> S3Settings:
        """Read the variables that boto3 and the AWS command line read."""
        return cls(
            endpoint=environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL"),
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
            access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            session_token=environment.get("AWS_SESSION_TOKEN"),
        )

    def delta_options(self) -> dict[str, str]:
        """Return the same settings in the words of the `deltalake` package."""
        options = {"AWS_REGION": self.region}
        if self.endpoint:
            # By the first name it comes before what the environment of the process says; without the second,
            # deltalake asks the metadata service of a cloud where it is.
            options["AWS_ENDPOINT_URL_S3"] = options["AWS_ENDPOINT_URL"] = self.endpoint
            options["AWS_ALLOW_HTTP"] = "true"
        if self.access_key_id and self.secret_access_key:
            options["AWS_ACCESS_KEY_ID"] = self.access_key_id
            options["AWS_SECRET_ACCESS_KEY"] = self.secret_access_key
        if self.session_token:
            options["AWS_SESSION_TOKEN"] = self.session_token
        if self.delta_retries is not None:
            options["max_retries"] = str(self.delta_retries)
        return options


def data_uri(location: str, environment: Mapping[str, str]) -> str:
    """Return the absolute `s3://` URI of a location in a project or job file.

    A relative location lies below `GREENROOM_DATA`; an `s3://` URI stands for itself.
    """
    if "://" in location:
        return location.rstrip("/")
    root = environment.get("GREENROOM_DATA")
    if not root:
        raise StorageError(
            f"The location {location!r} is relative, and GREENROOM_DATA, the S3 URI it is relative"
            ' to, is not set. With the embedded stack: eval "$(make -s env)"'
        )
    return f"{root.rstrip('/')}/{location.strip('/')}"
