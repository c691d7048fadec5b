"""Which version is to be served: asks the registry, verifies and tries what it names, and publishes a view.

The process that follows is the only one of an endpoint that imports MLflow. Its workers read the view, a
small local file, and nothing of what they import from here knows the registry.
"""

from __future__ import annotations

from serving.following.view import Refused, View, read_view, view_path, write_view

__all__ = ["Refused", "View", "read_view", "view_path", "write_view"]
