"""Watches the workers of one port: counts, metrics, log lines. It knows no HTTP, model or registry."""

from __future__ import annotations

from serving.watching.tally import Reason, Tallies, WorkerTally

__all__ = ["Reason", "Tallies", "WorkerTally"]
