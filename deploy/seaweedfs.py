"""S3 on this machine: `weed mini`, SeaweedFS as one process.

It also listens on four more addresses and as many for gRPC. What they say to each other is signed,
so that a file cannot be read past S3 and its permissions.
"""

import http.client
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from deploy.credentials import ARTIFACT_BUCKET, DATA_BUCKET, LEDGER_BUCKET, PERMISSIONS, Credentials, Role
from deploy.errors import ServiceFailedError, TransientError
from deploy.ports import LOOPBACK, free_ports, is_free
from deploy.service import Launch, Service, base_environment
from deploy.state import StateFolder, write_private

REGION = "us-east-1"

# The names of `weed mini` for the ports that nobody but itself uses.
_INTERNAL_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
    "admin.port",
)
# Its maintenance worker looks for the admin server at this distance, whatever was configured.
_ADMIN_GRPC = "admin.port.grpc"
_ADMIN_GRPC_DISTANCE = 10_000

_GRPC_OPTION = re.compile(r"-(\w+)\.port\.grpc=(\d+)")
_TIMEOUT_S = 60.0
_POLL_S = 0.05
_PROBE_TIMEOUT_S = 2.0
_SIGNING_KEYS = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")


def identities(credentials: Credentials) -> str:
    """Render who may do what, in the format of `-s3.config`."""
    entries = [
        {
            "name": name,
            "credentials": [{"accessKey": key.access_key, "secretKey": key.secret_key}],
            "actions": list(PERMISSIONS[name]),
        }
        for name, key in credentials.s3_keys.items()
    ]
    return json.dumps({"identities": entries}, indent=2) + "\n"


def launch(
    folder: StateFolder,
    credentials: Credentials,
    ports: Mapping[str, int],
    environ: Mapping[str, str],
) -> Launch:
    """Write the identities and say how to start SeaweedFS on `ports`."""
    config = folder.path / "s3.json"
    write_private(config, identities(credentials))
    logs = folder.logs / "weed"
    logs.mkdir(mode=0o700, exist_ok=True)
    options = {
        "dir": folder.path / "s3",
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "s3.port": ports[Service.S3],
        **{name: ports[name] for name in (*_INTERNAL_PORTS, _ADMIN_GRPC)},
        "s3.config": config,
        # A missing bucket is an error, as on AWS.
        "s3.autoCreateBucket": "false",
        "s3.iam": "false",
        # Small volumes, grown one by one: nothing is allocated before it is written, and a
        # nearly full disk still has room for several. Large objects are split over them.
        "master.volumeSizeLimitMB": 128,
        "master.telemetry": "false",
        # Only we read from the volume server: no need to wait for others to look elsewhere.
        "volume.preStopSeconds": 0,
        # Relative to the state folder: the path of a Unix socket may have 107 bytes only.
        "s3.localSocket": "tmp/s3.sock",
        "filer.localSocket": "tmp/filer.sock",
        "filer.exposeDirectoryData": "false",
        "admin.ui": "false",
        "webdav": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
    }
    return Launch(
        service=Service.S3,
        command=(
            str(Path(sys.executable).parent / "weed"),
            f"-logdir={logs}",
            "-log_max_size_mb=20",
            "mini",
            *(f"-{name}={value}" for name, value in options.items()),
        ),
        environment={
            **base_environment(environ, folder),
            **{f"WEED_JWT_{name}_KEY": credentials.signing_key for name in _SIGNING_KEYS},
        },
        port=ports[Service.S3],
        timeout_s=_TIMEOUT_S,
    )


def choose_internal_ports(before: Mapping[str, int], taken: frozenset[int]) -> dict[str, int]:
    """Choose the ports that only SeaweedFS itself uses: those of `before` if all are still free."""
    kept = {name: before.get(name, 0) for name in (*_INTERNAL_PORTS, _ADMIN_GRPC)}
    if taken.isdisjoint(kept.values()) and all(port and is_free(port) for port in kept.values()):
        return kept
    while True:
        free = free_ports(len(_INTERNAL_PORTS), taken=taken)
        chosen = dict(zip(_INTERNAL_PORTS, free, strict=True))
        chosen[_ADMIN_GRPC] = chosen["admin.port"] + _ADMIN_GRPC_DISTANCE
        if chosen[_ADMIN_GRPC] not in {*free, *taken} and is_free(chosen[_ADMIN_GRPC]):
            return chosen


def wait_for_volumes(ports: Mapping[str, int]) -> None:
    """Return when objects can be read and written; raises TransientError after a minute.

    S3 says that it is healthy before that: where the volume server comes a moment too early for
    the election of the master, one start in ten, it announces its volumes five seconds later.
    Until then every read and write is answered 500.
    """
    port = ports["master.port"]
    deadline = time.monotonic() + _TIMEOUT_S
    while not _has_volumes(port):
        if time.monotonic() > deadline:
            raise TransientError(
                f"S3 answers, but had no volumes after {_TIMEOUT_S:g} s: "
                "run `python -m deploy down`, then `up`."
            )
        time.sleep(_POLL_S)


def _has_volumes(master_port: int) -> bool:
    """Whether a volume server has announced itself, and with it all the volumes it has."""
    connection = http.client.HTTPConnection(LOOPBACK, master_port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/dir/status")
        topology = json.loads(connection.getresponse().read())["Topology"]
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return any(
        rack["DataNodes"] for center in topology["DataCenters"] or () for rack in center["Racks"] or ()
    )


def create_buckets(endpoint: str, credentials: Credentials) -> None:
    """Make the buckets where they are missing, and keep every version of their objects.

    Raises ServiceFailedError where S3 refuses.
    """
    # Half a second, which `--help`, `env` and `status` need not spend.
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    key = credentials.s3_keys[Role.ADMIN]
    # A session of its own: neither a profile nor a proxy of the user has a say on loopback.
    session = Session(key.access_key, key.secret_key, region_name=REGION)
    client = session.client("s3", endpoint_url=endpoint, config=Config(proxies={}))
    try:
        existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in (DATA_BUCKET, ARTIFACT_BUCKET, LEDGER_BUCKET):
            if name not in existing:
                client.create_bucket(Bucket=name)
            if client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
                client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    except (BotoCoreError, ClientError) as error:
        raise ServiceFailedError(
            f"S3 at {endpoint} refused to set up its buckets ({error}); expected it to know the "
            "keys in credentials.json: run `python -m deploy down`, then `up`."
        ) from error


def remove_sockets(command: Iterable[str]) -> None:
    """Remove what a process leaves in /tmp, a path that SeaweedFS gives no say about.

    Call it only when the process that was started by `command` has ended.
    """
    for argument in command:
        if match := _GRPC_OPTION.fullmatch(argument):
            part, port = match.groups()
            with suppress(FileNotFoundError, PermissionError):
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink()  # noqa: S108
