"""The frame of a page: the style sheet `page.css` and the page's own rules stand in it; light and dark follow the reader's setting."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

CSS = Path(__file__).with_name("page.css")


def page(title: str, sections: Iterable[str], css: Path) -> str:
    """The whole HTML page of these sections (markup); `css` holds the rules that only this page needs."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS.read_text()}{css.read_text()}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def tile(value: str, what: str, more: str, bad: bool = False) -> str:
    """A figure that stands out, with what it is and a line about it; `more` is markup."""
    style = "tile bad" if bad else "tile"
    return f'<div class="{style}"><span class="soft">{what}</span><b>{value}</b><span class="soft">{more or "&nbsp;"}</span></div>'


def tiles(*made: str) -> str:
    """Tiles side by side."""
    return f'<div class="tiles">{"".join(made)}</div>'


def section(title: str, about: str, *parts: str) -> str:
    """A card with a heading and a soft line (markup)."""
    soft = f'<p class="soft">{about}</p>' if about else ""
    return f"<section><h2>{title}</h2>{soft}{''.join(parts)}</section>"


def key(*entries: tuple[str, str]) -> str:
    """What the fills of a chart stand for: (class without `k-`, words)."""
    items = "".join(f'<span><i class="k-{style}"></i>{text}</span>' for style, text in entries)
    return f'<div class="key">{items}</div>'


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of markup cells that scrolls sideways where it is too wide."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    thead = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f'<div class="scroll" tabindex="0"><table>{thead}<tbody>{body}</tbody></table></div>'
