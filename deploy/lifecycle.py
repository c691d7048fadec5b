"""Starting, completing and stopping the stack: one command at a time on each state folder."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from deploy import credentials as secret
from deploy import mlflow_server, ports, processes, seaweedfs, settings
from deploy.errors import DeployError, PortInUseError
from deploy.service import Launch, Service, comes_to_answer, wait_until_ready
from deploy.stack import Stack, address, addresses
from deploy.state import Record, StateFolder

_DEFAULT_PORTS = {Service.S3: 8333, Service.MLFLOW: 5000}
# How long a service that was found running may take to answer before it is started again.
_PATIENCE_S = 30.0
_SETTINGS = {Service.S3: settings.S3_PORT, Service.MLFLOW: settings.MLFLOW_PORT}


def up(
    state_dir: Path,
    *,
    s3_port: int | None = None,
    mlflow_port: int | None = None,
    with_mlflow: bool = True,
    notify: Callable[[str], None] = lambda _: None,
) -> Stack:
    """Start what does not run yet and return when all of it answers.

    A port of None is the one used before, else the default; 0 is the one used before, else a free
    one. Remains of a stack that was killed are removed first. If this call fails or is
    interrupted, what it started is stopped again. `notify` is told what is waited for.

    Raises PortInUseError, ServiceFailedError, StateFolderError, CorruptStateError, TransientError.
    """
    folder = StateFolder(state_dir.resolve())
    folder.create()
    wanted = {Service.S3: s3_port}
    if with_mlflow:
        wanted[Service.MLFLOW] = mlflow_port
    with folder.locked(), ExitStack() as undo:
        credentials = secret.read_or_create(folder.credentials)
        record = _without_remains(folder, wanted)
        record = record.with_ports(_choose_ports(record, wanted))
        folder.write_record(record)

        launches: list[tuple[Launch, processes.Process]] = []
        started = set()
        for service in wanted:
            describe = seaweedfs.launch if service is Service.S3 else mlflow_server.launch
            launch = describe(folder, credentials, record.ports, os.environ)
            if service not in record.processes:
                undo.callback(_stop, folder, service)
                process = processes.spawn(
                    launch.command,
                    marker=service.marker(folder),
                    environment=launch.environment,
                    folder=folder.path,
                    log=service.log(folder),
                )
                record = record.with_process(service, process, launch.command)
                folder.write_record(record)
                started.add(service)
                notify(f"Starting {service.title} on port {launch.port}")
            launches.append((launch, record.processes[service]))

        # Both boot at the same time; buckets and logins follow as soon as each answers.
        for launch, process in launches:
            wait_until_ready(launch, process, launch.service.log(folder))
            if launch.service is Service.S3:
                seaweedfs.wait_for_volumes(record.ports)
                seaweedfs.create_buckets(address(launch.port), credentials)
            else:
                mlflow_server.create_users(launch.port, credentials)
        undo.pop_all()
    return Stack(folder.path, addresses(record), credentials, frozenset(started))


def down(state_dir: Path) -> list[Service]:
    """Stop everything of this state folder, MLflow first, and answer what there was to stop."""
    folder = StateFolder(state_dir.resolve())
    # The folder may have been removed by hand while its services ran on.
    with folder.locked() if folder.is_ours() else nullcontext():
        return _stop_all(folder)


def clean_state(state_dir: Path) -> bool:
    """Stop everything and remove the state folder; answers whether there was one.

    Raises StateFolderError on a folder that is not ours.
    """
    folder = StateFolder(state_dir.resolve())
    if not folder.path.exists():
        return bool(_stop_all(folder))
    folder.check_ours()
    with folder.locked():
        _stop_all(folder)
        shutil.rmtree(folder.path)
    return True


@contextmanager
def running(
    state_dir: Path, *, s3_port: int = 0, mlflow_port: int = 0, with_mlflow: bool = True
) -> Iterator[Stack]:
    """Run a stack for the length of a block; what was not running before is stopped after it."""
    stack = up(state_dir, s3_port=s3_port, mlflow_port=mlflow_port, with_mlflow=with_mlflow)
    try:
        yield stack
    finally:
        folder = StateFolder(stack.state_dir)
        with folder.locked():
            for service in reversed(Service):
                if service in stack.started:
                    _stop(folder, service)


def _without_remains(folder: StateFolder, wanted: Mapping[Service, int | None]) -> Record:
    """Read the record, and stop what is not the head of a service that answers.

    That is an orphan whose record was lost, the rest of a service whose head was killed, and a
    head that is dying or hangs.
    """
    record = folder.read_record()
    for service in Service:
        process = record.processes.get(service)
        port = record.ports.get(service)
        if process is None or port is None or not comes_to_answer(process, port, service.health, _PATIENCE_S):
            _stop(folder, service)
        elif wanted.get(service) not in {None, 0, port}:
            raise DeployError(
                f"{service.title} already runs on port {port}, and "
                f"{_SETTINGS[service]} now asks for {wanted[service]}: run `python -m deploy down` "
                "first, or unset it."
            )
    record = folder.read_record()
    if Service.S3 not in record.processes and Service.MLFLOW in record.processes:
        asked = wanted[Service.S3]
        was_at = record.ports.get(Service.S3)
        # MLflow was told where S3 is; it has to start again if S3 cannot come back there.
        if was_at is None or asked not in {None, 0, was_at} or not ports.is_free(was_at):
            _stop(folder, Service.MLFLOW)
            record = folder.read_record()
    return record


def _stop_all(folder: StateFolder) -> list[Service]:
    return [service for service in reversed(Service) if _stop(folder, service)]


def _stop(folder: StateFolder, service: Service) -> bool:
    """Stop a service, with all that it started, and forget its processes."""
    marker = service.marker(folder)
    record = folder.read_record()
    # From the record where it was killed, from the process itself where the record was lost.
    commands = [
        record.commands.get(service, ()),
        *(processes.command_of(process) for process in processes.find(marker)),
    ]
    found = processes.stop(marker)
    if service is Service.S3:
        for command in commands:
            seaweedfs.remove_sockets(command)
    if service in record.processes:
        folder.write_record(record.without_process(service))
    return found


def _choose_ports(record: Record, wanted: Mapping[Service, int | None]) -> dict[str, int]:
    """Choose a port for every service that does not run, the one it had before where possible."""
    chosen: dict[str, int] = {}
    for service, asked in wanted.items():
        if service in record.processes:
            continue
        before = record.ports.get(service)
        if asked == 0:
            if before is None or not ports.is_free(before):
                [before] = ports.free_ports(1, taken=frozenset(chosen.values()))
            chosen[service] = before
        else:
            port = asked or before or _DEFAULT_PORTS[service]
            if not ports.is_free(port):
                raise PortInUseError(port, service.title, ports.owner(port), _SETTINGS[service])
            chosen[service] = port
    if Service.S3 in chosen:
        chosen |= seaweedfs.choose_internal_ports(record.ports, frozenset(chosen.values()))
    return chosen
