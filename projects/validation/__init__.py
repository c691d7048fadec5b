"""Validation: what a reviewer relies on. A version is judged on rows it has not seen, and served once."""

from projects.validation.validate import validate_version

__all__ = ["validate_version"]
