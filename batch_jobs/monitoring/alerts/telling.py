"""Tells a webhook of events: signed, to an address that is checked, until it has arrived."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from registry.sender import Receiver, UndeliveredError, send

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.alerts.events import AlertEvent, EventLog
    from batch_jobs.monitoring.declared import Webhook

ENTITY = "greenroom_alert"
_TOLD = "told"
_TIMEOUT_S = 10.0
# Then the next run of the monitor tries again.
_ATTEMPTS = 3
_PAUSE_S = 1.0


def tell_pending(
    job: BatchJob,
    webhook: Webhook,
    log: EventLog,
    environment: Mapping[str, str],
    pause: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Send each event that has not arrived yet, in order for each alert; return what went wrong.

    At least once: an answer that was lost is sent again, with the same delivery id. What does not arrive
    is tried again with the next day that is monitored.
    """
    waiting = [event for event in log.read() if _TOLD not in log.marks(event)]
    if not waiting:
        return []
    url = environment.get(webhook.url)
    if not url:
        return [f"{len(waiting)} alerts are not told: {webhook.url}, the address of the webhook, is not set"]
    receiver = Receiver(url, environment.get(webhook.secret))
    if receiver.secret is None:
        return [
            f"{len(waiting)} alerts are not told: {webhook.secret}, which they are signed with, is not set"
        ]
    failed: dict[str, str] = {}
    for event in waiting:
        # A receiver shall not hear that it is over before it heard that it began.
        if event.alert in failed:
            continue
        error = _send(receiver, event, payload_of(job, event), pause)
        if error is None:
            log.mark(event, _TOLD, {"at_s": time.time()})
        else:
            failed[event.alert] = f"The alert {event.alert} ({event.kind}) is not told: {error}"
    return list(failed.values())


def payload_of(job: BatchJob, event: AlertEvent) -> str:
    """Return the body that is sent: an entity, an action and data, as MLflow's own webhooks have them."""
    data = {"job": job.name, "model": job.model, **event.to_plain(), "do": event.action}
    return json.dumps({"entity": ENTITY, "action": event.kind, "data": data}, sort_keys=True)


def _send(
    receiver: Receiver, event: AlertEvent, payload: str, pause: Callable[[float], None]
) -> UndeliveredError | None:
    error = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(_PAUSE_S * 2 ** (attempt - 1))
        try:
            send(receiver, event.id, payload, time.time(), _TIMEOUT_S)
        except UndeliveredError as found:
            error = found
        else:
            return None
    return error
