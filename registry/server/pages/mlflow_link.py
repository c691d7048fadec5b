"""The way from MLflow's own pages to these: one link in the page that MLflow's application runs in.

That application cannot be changed, but the page around it is one small file. Whatever it draws, the
link stays beside it, reachable with the keyboard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request, url_for
from markupsafe import Markup

if TYPE_CHECKING:
    from flask import Response

_PAGE = "serve"  # the endpoint of MLflow's index.html
_BODY_ENDS = b"</body>"
_LINK = Markup('<link rel="stylesheet" href="{style}"><a class="greenroom-review" href="{queue}">Review</a>')


def forget_cached() -> None:
    """Have the page sent whole: a browser may hold the one from before there was a link in it."""
    if request.endpoint == _PAGE:
        for header in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE"):
            request.environ.pop(header, None)


def add_link(response: Response) -> Response:
    """Put the link at the end of MLflow's page; what is not that page is left alone."""
    if request.endpoint != _PAGE or response.status_code != 200 or response.mimetype != "text/html":  # noqa: PLR2004
        return response
    response.direct_passthrough = False
    body = response.get_data()
    if body.count(_BODY_ENDS) != 1:
        return response
    link = _LINK.format(style=url_for("review.mlflow_style"), queue=url_for("review.queue"))
    response.set_data(body.replace(_BODY_ENDS, link.encode() + _BODY_ENDS))
    # They name the file, which this is not any more.
    for header in ("ETag", "Last-Modified", "Accept-Ranges"):
        response.headers.pop(header, None)
    response.headers["Cache-Control"] = "no-cache"
    return response
