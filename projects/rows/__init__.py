"""Rows: what upstream delivered, read once, labelled, written down, and found again."""
