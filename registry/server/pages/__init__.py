"""The review pages under `/review`: what waits, what is known of it, what happened to it.

They know MLflow's runs and our ledger. They decide nothing: the store does, under the rules.
"""

from __future__ import annotations

from registry.server.pages.views import pages

__all__ = ["pages"]
