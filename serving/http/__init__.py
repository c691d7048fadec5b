"""The endpoint over HTTP: routes, guards, worker processes. It alone knows the web server."""
