"""Tells webhooks what the ledger says: requests, decisions and transitions, in MLflow's format, signed.

Receivers are the webhooks of MLflow's own registry. Knows the ledger's lines, and nothing of who may
decide what.
"""

from registry.server.events.courier import Courier
from registry.server.events.outbox import Undelivered, enqueue, list_undelivered
from registry.server.events.schedule import Schedule
from registry.server.events.tables import metadata

__all__ = ["Courier", "Schedule", "Undelivered", "enqueue", "list_undelivered", "metadata"]
