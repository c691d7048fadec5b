"""The page about an endpoint: its models with their columns, how to ask, errors and limits. Pure.

One file without a script, a font or a picture from elsewhere. All that comes from an artifact is escaped.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from serving.contract.requests import CSV, JSON, PARQUET
from serving.http.docs_style import CSS
from serving.http.openapi_errors import errors_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from serving.http.sheets import ColumnSheet, Sheet
    from serving.settings import Settings

_ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104  # compared with, not bound to
_KNOWN = 8
_FEEDBACK = '{"outcomes": [{"prediction_id": "5f0c1d-2a", "row": 0, "outcome": 1}]}'
_MIB = 1024 * 1024


def write_page(sheets: Sequence[Sheet], settings: Settings) -> bytes:
    """Return the page, HTML in UTF-8."""
    names = ", ".join(sheet.model for sheet in sheets)
    url = _url(settings)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f"<title>{escape(names)}: predictions</title><style>{CSS}</style></head><body>",
        _header(sheets, names),
        "<main>",
        *(_model(sheet, settings, url, first=n == 0) for n, sheet in enumerate(sheets)),
        _formats(settings),
        _errors(settings),
        _limits(settings),
        _addresses(),
        "</main><footer>This page is written from what is served now; another version, another page.",
        "</footer></body></html>",
    ]
    return "\n".join(parts).encode()


def _header(sheets: Sequence[Sheet], names: str) -> str:
    links = [(f"#{sheet.model}", sheet.model) for sheet in sheets]
    links += [("#formats", "Formats"), ("#errors", "Errors"), ("#limits", "Limits")]
    links += [("/openapi.json", "OpenAPI 3.1")]
    nav = "".join(f'<a href="{escape(to)}">{escape(said)}</a>' for to, said in links)
    return (
        f"<header><div><h1>Predictions of {escape(names)}</h1><p class=soft>The contract of"
        f" <code>mlflow models serve</code>, read strictly: rows in, one prediction for each row out.</p>"
        f"<nav>{nav}</nav></div></header>"
    )


def _model(sheet: Sheet, settings: Settings, url: str, *, first: bool) -> str:
    name, path = escape(sheet.model), f"/models/{sheet.model}/invocations"
    also = " It is the first model, so <code>POST /invocations</code> is the same." if first else ""
    if sheet.version is None:
        return (
            f'<section id="{name}"><h2>{name} <span class="badge none">no version answers</span></h2>'
            "<p>Ask again later: <a href=/ready>/ready</a> says why.</p></section>"
        )
    parts = [
        f'<section id="{name}"><h2>{name} <span class=badge>version {sheet.version}</span></h2>',
        f"<p><code>POST {escape(path)}</code>{also}</p>",
        f"<p class=soft>Artifact <span class=mono>{escape(sheet.digest[:16])}…</span></p>",
    ]
    if sheet.body is not None:
        parts.append(f"<h3>Ask</h3><pre><code>{escape(_curl(sheet.body, settings, url + path))}</code></pre>")
    if sheet.answer is not None:
        answer = json.dumps(sheet.answer, ensure_ascii=False)
        parts.append(f"<h3>Answer</h3><pre><code>{escape(answer)}</code></pre>")
    if sheet.columns:
        parts.append(_columns(sheet.columns))
    if sheet.signature is None:
        parts.append("<p>Its requests are read by MLflow, as leniently as MLflow reads them.</p>")
    return "".join(parts) + "</section>"


def _columns(columns: Sequence[ColumnSheet]) -> str:
    rows = [
        (
            f"<span class=mono>{escape(column.name)}</span>",
            escape(column.expected) + ("" if column.required else ", or left out"),
            ", ".join(f"<code>{escape(value)}</code>" for value in column.examples),
            _categories(column.categories),
        )
        for column in columns
    ]
    return f"<h3>{len(columns)} columns</h3>" + _table(("Column", "A cell is", "For example", "Known"), rows)


def _categories(found: Sequence[str]) -> str:
    if not found:
        return ""
    listed = ", ".join(f"<code>{escape(json.dumps(value, ensure_ascii=False))}</code>" for value in found)
    if len(found) <= _KNOWN:
        return listed
    return f"<details><summary>{len(found)} values</summary><p>{listed}</p></details>"


def _formats(settings: Settings) -> str:
    rows = [
        ("<code>dataframe_records</code>", "A list of objects, one for each row."),
        (
            "<code>dataframe_split</code>",
            "<code>columns</code>, a list of names, and <code>data</code>, a list of rows.",
        ),
        (
            "<code>instances</code>, <code>inputs</code>",
            "A list of objects, or an object with a list of cells for each column.",
        ),
    ]
    explain = escape('{"dataframe_records": […], "params": {"explain": true}}')
    return (
        "<section id=formats><h2>Formats</h2>"
        f"<p><code>{JSON}</code> is an object with one of these keys:</p>"
        + _table(("Key", "Its value"), rows)
        + f"<p><code>{CSV}</code> is a line of names, then rows; an empty cell is missing."
        f" <code>{PARQUET}</code> is a file as pandas or Arrow write it. Any body may be sent with"
        " <code>Content-Encoding: gzip</code>.</p>"
        "<p>Missing is <code>null</code>; JSON has no NaN and no Infinity. A text that was not seen in"
        " training is as missing as null. Every column is given in every row, and no other.</p>"
        f"<h3>Explanations</h3><p><code>{explain}</code> is answered with <code>explanations</code>, too: for"
        " each row the <code>base</code> and the <code>contributions</code> of each column (SHAP), which"
        " add up to the margin of the row, before it is made a probability.</p>"
        "<p>Every answer says in <code>X-Model-Name</code> and <code>X-Model-Version</code> who gave it,"
        " and in <code>X-Request-ID</code> how the request is called in logs: as you called it in a header"
        f" of that name, if you did.{_token(settings)}</p>"
        "<p>Where versions are compared, answers have an <code>X-Prediction-ID</code>. What became of one"
        " is told at any time later: <code>POST /feedback</code> with"
        f" <code>{escape(_FEEDBACK)}</code>; without <code>row</code>, it is of the first.</p></section>"
    )


def _token(settings: Settings) -> str:
    if settings.token is None:
        return ""
    return " Requests carry a token: <code>Authorization: Bearer …</code>."


def _errors(settings: Settings) -> str:
    example = {
        "error_code": "BAD_REQUEST",
        "message": "row 0, column 'distance': found text, expected a number or null",
        "request_id": "a1b2c3-1",
        "details": [{"row": 0, "column": "distance", "found": "text", "expected": "a number or null"}],
    }
    rows = [(str(status), escape(what)) for status, what in errors_of(settings)]
    return (
        "<section id=errors><h2>Errors</h2><p>All have one form. Rows count from 0; values are never"
        f" repeated.</p><pre><code>{escape(json.dumps(example, indent=1))}</code></pre>"
        + _table(("Status", "When"), rows)
        + "<p>Ask again after 503, when <code>Retry-After</code> says; never unchanged after 400.</p>"
        "</section>"
    )


def _limits(settings: Settings) -> str:
    facts = [
        ("Rows of a request", f"{settings.max_rows:,}"),
        ("Body, also unzipped", f"{settings.max_body_bytes / _MIB:,.4g} MiB"),
        ("Time for an answer", f"{settings.deadline_s:g} s, then 504"),
        ("Time to send a request", f"{settings.read_timeout_s:g} s, then 408"),
        ("Idle connections", f"closed after {settings.keep_alive_s:g} s"),
        ("Waiting for one worker", f"{settings.max_waiting} requests, then 503"),
    ]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f"<section id=limits><h2>Limits</h2><dl>{listed}</dl></section>"


def _addresses() -> str:
    rows = [
        ("<a href=/ping>/ping</a>, <a href=/health>/health</a>", "The process is alive."),
        ("<a href=/ready>/ready</a>", "Every model has a version that answers: 200, else 503, and why."),
        ("<a href=/version>/version</a>", "The version of MLflow whose contract this is."),
        ("<a href=/metrics>/metrics</a>", "Counts and times of all workers, for Prometheus."),
        ("<a href=/openapi.json>/openapi.json</a>", "All of this for machines."),
    ]
    return "<section><h2>Other addresses</h2>" + _table(("Address", "What it says"), rows) + "</section>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope=col>{name}</th>" for name in heads)
    body = "".join(
        f"<tr><th scope=row>{first}</th>"
        + "".join(_cell(cell, head) for cell, head in zip(rest, heads[1:], strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f"<div class=scroll><table class=stack><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        "</div>"
    )


def _cell(cell: str, head: str) -> str:
    label = f' data-label="{head}:"' if head in {"For example", "Known"} and cell else ""
    return f"<td{label}>{cell}</td>"


def _curl(body: dict[str, Any], settings: Settings, url: str) -> str:
    lines = [f"curl {url}", f"  -H 'Content-Type: {JSON}'"]
    if settings.token is not None:
        lines.append('  -H "Authorization: Bearer $TOKEN"')
    return " \\\n".join(lines) + f" \\\n  -d {_quoted(_spread(body))}"


def _spread(body: dict[str, Any]) -> str:
    """Write a body in short lines: one for each column of a row."""
    records = body.get("dataframe_records")
    if not records:
        return json.dumps(body, ensure_ascii=False)
    cells = [f"{_json(name)}: {_json(value)}" for name, value in records[0].items()]
    return '{"dataframe_records": [{\n    ' + ",\n    ".join(cells) + "\n  }]}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _url(settings: Settings) -> str:
    if settings.allowed_hosts:
        return (
            f"https://{settings.allowed_hosts[0]}"
            if settings.behind_proxy
            else f"http://{settings.allowed_hosts[0]}:{settings.port}"
        )
    host = "127.0.0.1" if settings.host in _ANYWHERE else settings.host
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
