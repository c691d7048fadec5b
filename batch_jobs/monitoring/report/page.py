"""The page: sections of plots and tables, everything that is not ours escaped, and nothing fetched. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLE = """
:root{color-scheme:light;--ink:#111827;--soft:#4b5563;--line:#e5e7eb;--bad:#b42318}
*{box-sizing:border-box}
body{margin:0 auto;max-width:52rem;padding:1rem;color:var(--ink);background:#fff;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.5rem;margin:.5rem 0}
h2{font-size:1.2rem;margin:2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
h3{font-size:1rem;margin:1.2rem 0 .2rem}
p{margin:.4rem 0;overflow-wrap:anywhere}
.soft{color:var(--soft)}
nav a{display:inline-block;padding:.35rem .6rem .35rem 0}
figure{margin:.5rem 0;max-width:42rem}
figure img{display:block;width:100%;height:auto}
figcaption{color:var(--soft);font-size:.9rem}
dl.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
dl.tiles div{border:1px solid var(--line);border-radius:.4rem;padding:.6rem}
dl.tiles dt{color:var(--soft);font-size:.85rem}
dl.tiles dd{margin:0;font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}
dl.tiles small{display:block;font-size:.8rem;font-weight:400;color:var(--soft)}
.scroll{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
.number,.whole{white-space:nowrap}
.bad{color:var(--bad)}
a{color:#1d4ed8}
@media print{nav{display:none}h2{break-after:avoid}figure{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Plot:
    """A picture as SVG text; `said` tells those who do not see it what it shows."""

    title: str
    svg: str
    said: str


@dataclass(frozen=True)
class Table:
    """Rows of cells as text.

    `numbers` are the columns that stand to the right, `whole` those that are not broken; `bad` are rows.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    whole: frozenset[int] = frozenset()
    bad: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Tile:
    """One figure that is seen first."""

    name: str
    value: str
    beside: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    title: str
    said: tuple[str, ...]
    parts: tuple[Plot | Table, ...] = ()


def write_page(title: str, said: Sequence[str], tiles: Sequence[Tile], sections: Sequence[Section]) -> str:
    """Return the page as HTML. Whatever text comes in is shown as text."""
    # Nothing but what is in the page: no script, no fetch, whatever a name of a column might try.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    links = " ".join(f'<a href="#s{nth}">{escape(each.title)}</a>' for nth, each in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>{_paragraphs(said)}</header>"
        f"<main><dl class=tiles>{''.join(map(_tile, tiles))}</dl>"
        f"<nav aria-label=Sections>{links}</nav>"
        f"{''.join(_section(nth, each) for nth, each in enumerate(sections))}</main></body></html>\n"
    )


def _paragraphs(said: Sequence[str]) -> str:
    return "".join(f"<p class=soft>{escape(each)}</p>" for each in said)


def _tile(tile: Tile) -> str:
    beside = f"<small>{escape(tile.beside)}</small>" if tile.beside else ""
    how = ' class="bad"' if tile.is_bad else ""
    return f"<div><dt>{escape(tile.name)}</dt><dd{how}>{escape(tile.value)}{beside}</dd></div>"


def _section(nth: int, section: Section) -> str:
    parts = "".join(_plot(part) if isinstance(part, Plot) else _table(part) for part in section.parts)
    return (
        f'<section id="s{nth}"><h2>{escape(section.title)}</h2>{_paragraphs(section.said)}{parts}</section>'
    )


def _plot(plot: Plot) -> str:
    # As an image: the ids of several pictures in one page would be each other's.
    data = base64.b64encode(plot.svg.encode()).decode()
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(plot.said)}">'
    return (
        f"<h3>{escape(plot.title)}</h3><figure>{image}<figcaption>{escape(plot.said)}</figcaption></figure>"
    )


def _how(table: Table, column: int) -> str:
    if column in table.numbers:
        return " class=number"
    return " class=whole" if column in table.whole else ""


def _table(table: Table) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' scope=col' if tag == 'th' else ''}{_how(table, nth)}>{escape(cell)}</{tag}>"
            for nth, cell in enumerate(row)
        )

    rows = "".join(
        f"<tr{' class=bad' if nth in table.bad else ''}>{cells('td', row)}</tr>"
        for nth, row in enumerate(table.rows)
    )
    caption = f"<caption>{escape(table.caption)}</caption>"
    head = f"<thead><tr>{cells('th', table.head)}</tr></thead>"
    return f"<div class=scroll><table>{caption}{head}<tbody>{rows}</tbody></table></div>"
