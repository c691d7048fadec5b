"""Log lines: one JSON object a line, on stderr, for what we log and for what gunicorn and uvicorn do.

What a caller sent has no place in them: of an exception while a request is answered, its type and where it
was raised are written, never its message.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from serving.watching.lines import LINE_BYTES, Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Level = Literal["debug", "info", "warning", "error", "critical"]

_STDERR = 2
_HALF_OF_A_TEXT = 300
_ITEMS = 20
_INT64 = range(-(2**63), 2**63)


def log(event: str, level: Level = "info", **fields: object) -> None:
    """Write a line, at once or not at all. Never raises, never waits; `fields` hold nothing of a caller's."""
    _write(event, level, fields)


def count_drops(count: Callable[[], None]) -> None:
    """Call `count` for each line of this process that could not be written."""
    stderr().on_drop = count


def configure_gunicorn_logging() -> dict[str, Any]:
    """Return gunicorn's `logconfig_dict`: its lines, uvicorn's and all warnings come out as ours do.

    Nothing is logged for a request: its path and query are a caller's.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": "WARNING", "handlers": ["lines"]},
        "loggers": {
            # uvicorn's worker takes its handlers from these two.
            "gunicorn.error": {"handlers": ["lines"], "propagate": False},
            "gunicorn.access": {"handlers": [], "propagate": False},
        },
        "handlers": {"lines": {"()": LineHandler}},
        "formatters": {},
    }


class LineHandler(logging.Handler):
    """Writes what others log as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it."""
        logger = record.name.partition(".")[0]
        ours = logger == "gunicorn"  # it logs of processes, and not of requests
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        fields: dict[str, object] = {"message": message if ours else message.partition("\n")[0]}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error"] = type(error).__name__
            if ours:
                fields["why"] = str(error)
            fields["at"] = _frames(error)
        _write(logger, record.levelname.lower(), fields)


@cache
def stderr() -> Lines:
    """Return where this process's lines go: what was its stderr when the first was written."""
    return Lines.on(_STDERR)


def encode(fields: Mapping[str, object]) -> bytes:
    """Encode a line that a pipe takes whole: long texts lose their middle, and too many fields the last."""
    plain = {name: _plain(value) for name, value in fields.items()}
    line = orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)
    while len(line) > LINE_BYTES:
        plain.popitem()
        line = orjson.dumps({**plain, "cut": True}, option=orjson.OPT_APPEND_NEWLINE)
    return line


def _write(event: str, level: str, fields: Mapping[str, object]) -> None:
    lines = stderr()
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    head = {"ts": now, "level": level, "event": event, "pid": os.getpid()}
    lines.write(encode({**head, **fields, **head}))


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)  # NumPy's are no floats to orjson
    if isinstance(value, int) and value in _INT64:
        return int(value)
    if isinstance(value, list | tuple):
        return [_text(str(item)) for item in value[:_ITEMS]]
    return _text(str(value))


def _text(text: str) -> str:
    # Line feeds, terminal escapes and lone surrogates become readable, and harmless wherever it is shown.
    if not text.isprintable():
        text = "".join(
            each if each.isprintable() else repr(each)[1:-1]
            for each in text[: 2 * _HALF_OF_A_TEXT] + text[2 * _HALF_OF_A_TEXT :][-2 * _HALF_OF_A_TEXT :]
        )
    if len(text) <= 2 * _HALF_OF_A_TEXT:
        return text
    return f"{text[:_HALF_OF_A_TEXT]} … {text[-_HALF_OF_A_TEXT:]}"


def _frames(error: BaseException) -> list[str]:
    codes = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return [f"{Path(code.co_filename).name}:{line} {code.co_name}" for code, line in codes[-_ITEMS:]]
