"""Offline: pages of Great Expectations, readable without the public sites that style and script them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What was met and what was not is shown by icons of a font from elsewhere; and a list by a script.
_STYLE = """<style>
.fas::before { font-family: sans-serif; } table { border-spacing: 1em 0; } td { vertical-align: top; }
.fa-check-circle::before { content: "\\2714"; color: #080; }
.fa-times::before { content: "\\2718"; color: #b00; }
.fa-exclamation-triangle::before { content: "\\26A0"; color: #b60; }
</style>"""


def make_readable(folder: Path, run_name: str, met: Mapping[str, bool]) -> None:
    """Finish a site in place; `met` says of each suite, by its name with dots, whether it was."""
    for page in folder.rglob("*.html"):
        page.write_text(page.read_text().replace("</head>", f"{_STYLE}</head>", 1))
    lines = "".join(
        f'<li><a href="{quote(page.relative_to(folder).as_posix())}">{escape(name)}</a>:'
        f" {'met' if is_met else 'not met'}</li>"
        for name, is_met in met.items()
        for page in sorted(folder.glob(f"validations/{name.replace('.', '/')}/**/*.html"))
    )
    index = folder / "index.html"
    found = f"<body><h1>{escape(run_name)}</h1><ul>{lines}</ul>"
    index.write_text(index.read_text().replace("<body>", found, 1))
    for unused in (folder / "static").rglob("*"):
        # Fonts and pictures that no page shows, four megabytes.
        if unused.is_file() and unused.name != "favicon.ico":
            unused.unlink()
