"""What one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Rows of one request, and bytes of its body once it is unzipped."""

    max_rows: int = 100_000
    max_body_bytes: int = 16 * 1024 * 1024
