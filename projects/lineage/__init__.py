"""Lineage: what something was made of, up to the source objects, and what was made of it."""
