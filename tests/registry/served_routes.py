"""Print every route of the app that the server of this environment serves, as JSON: run by a test."""

from __future__ import annotations

import json
import sys
from typing import Any

from starlette.routing import BaseRoute, Mount, WebSocketRoute

from registry.server.app import create_app


def flask_routes(app: Any) -> list[tuple[str, list[str]]]:
    return [(rule.rule, sorted(rule.methods or ())) for rule in app.url_map.iter_rules()]


def routes(found: list[BaseRoute], prefix: str = "") -> list[tuple[str, list[str]]]:
    listed: list[tuple[str, list[str]]] = []
    for route in found:
        if isinstance(route, Mount):
            # MLflow's Flask app hangs inside its FastAPI app, wrapped.
            inner: Any = route.app
            while inner is not None and not hasattr(inner, "url_map"):
                inner = getattr(inner, "app", None)
            listed += flask_routes(inner) if inner is not None else routes(route.routes or [], route.path)
        elif hasattr(route, "original_router"):
            # FastAPI keeps an included router whole.
            included: Any = route
            listed += routes(included.original_router.routes, prefix + included.include_context.prefix)
        elif isinstance(route, WebSocketRoute):
            listed.append((prefix + route.path, ["WEBSOCKET"]))
        else:
            plain: Any = route
            listed.append((prefix + plain.path, sorted(plain.methods or ())))
    return listed


if __name__ == "__main__":
    json.dump(routes(create_app().routes), sys.stdout)
