"""What a stack offers once it was started: addresses, credentials, and how it is doing."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import credentials as secret
from deploy import mlflow_server, ports, processes, seaweedfs
from deploy.credentials import Credentials, Role
from deploy.errors import NotStartedError
from deploy.service import Service, answers
from deploy.state import Record, StateFolder


@dataclass(frozen=True)
class Stack:
    """Addresses and credentials of a stack. `started` is what the call that made it started."""

    state_dir: Path
    addresses: Mapping[Service, str]
    credentials: Credentials
    started: frozenset[Service] = frozenset()

    @property
    def s3_endpoint(self) -> str:
        """Address of S3, without a bucket."""
        return self.addresses[Service.S3]

    @property
    def mlflow_uri(self) -> str:
        """Address of MLflow, for tracking and registry; NotStartedError where there is none."""
        if Service.MLFLOW not in self.addresses:
            raise NotStartedError(Service.MLFLOW.title, self.state_dir)
        return self.addresses[Service.MLFLOW]

    def environment(self, role: Role | str, *, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Make the variables with which a role's commands find the stack; they go over `environ`'s.

        Without an MLflow server there is no `MLFLOW_TRACKING_URI`.
        """
        role = Role(role)
        key = self.credentials.s3_keys[role]
        tracking = {}
        if Service.MLFLOW in self.addresses:
            tracking = {
                "MLFLOW_TRACKING_URI": self.mlflow_uri,
                "MLFLOW_TRACKING_USERNAME": str(role),
                "MLFLOW_TRACKING_PASSWORD": self.credentials.passwords[role],
            }
        return {
            **tracking,
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret_key,
            "AWS_REGION": seaweedfs.REGION,
            "AWS_DEFAULT_REGION": seaweedfs.REGION,
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint,
            "GREENROOM_DATA": f"s3://{secret.DATA_BUCKET}",
            "GREENROOM_STUDIES": f"sqlite:///{self.state_dir / 'studies.db'}",
            "GREENROOM_LEDGER_HEADS": f"s3://{secret.LEDGER_BUCKET}/heads",
            **mlflow_server.QUIET,
            **_past_proxies(environ),
            "PATH": _path_with_our_programs(environ.get("PATH", os.defpath)),
        }


@dataclass(frozen=True)
class ServiceStatus:
    """One line of `status`. `state` is `running`, `not answering` or `stopped`."""

    service: Service
    state: str
    pid: int | None
    address: str | None


def load(state_dir: Path) -> Stack:
    """Read the addresses and credentials of a stack that was started before, running or not."""
    folder = StateFolder(state_dir.resolve())
    credentials = secret.read(folder.credentials)
    record = folder.read_record()
    if credentials is None or Service.S3 not in record.ports:
        raise NotStartedError("The stack", folder.path)
    return Stack(folder.path, addresses(record), credentials)


def status(state_dir: Path) -> list[ServiceStatus]:
    """Look at every service, without waiting for any."""
    record = StateFolder(state_dir.resolve()).read_record()
    found = []
    for service in Service:
        process = record.processes.get(service)
        port = record.ports.get(service)
        state = "stopped"
        if process is not None and port is not None and processes.is_alive(process):
            state = "running" if answers(port, service.health) else "not answering"
        found.append(
            ServiceStatus(
                service=service,
                state=state,
                pid=None if state == "stopped" or process is None else process.pid,
                address=None if port is None else address(port),
            )
        )
    return found


def addresses(record: Record) -> dict[Service, str]:
    """Where each service listens, or did before it was stopped."""
    return {service: address(record.ports[service]) for service in Service if service in record.ports}


def address(port: int) -> str:
    """Address of a port on loopback."""
    return f"http://{ports.LOOPBACK}:{port}"


def _past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Except loopback from the proxies of an environment, if it has any."""
    names = {name.lower(): value for name, value in environ.items() if value}
    if names.keys().isdisjoint({"http_proxy", "https_proxy", "all_proxy"}):
        return {}
    exceptions = names.get("no_proxy", "").split(",")
    value = ",".join([*filter(None, exceptions), ports.LOOPBACK])
    return {"NO_PROXY": value, "no_proxy": value}


def _path_with_our_programs(path: str) -> str:
    folder = str(Path(sys.executable).parent)
    return path if path.split(os.pathsep, maxsplit=1)[0] == folder else folder + os.pathsep + path
