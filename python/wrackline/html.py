"""Small tables for notebooks: inline styles, and no colours, so that light and dark pages can both show them."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

__all__ = ["page", "table", "text"]

_LINE = "1px solid rgba(128,128,128,0.35)"
_DIM = "opacity:0.65"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    under: Sequence[str] = (),
) -> str:
    """An HTML table, without a header if that is empty. Columns of `right` end on one line; `under` stands below the
    header, such as types.

    >>> table(["k", "n"], [["<a>", "1"]], right={1}).count("&lt;a&gt;")
    1
    """
    lines = [_row("th", header, right, under)] if header else []
    lines += [_row("td", row, right) for row in rows]
    return f'<table style="border-collapse:collapse;margin:0.25em 0">{"".join(lines)}</table>'


def text(line: str) -> str:
    """A line between tables.

    >>> text("a < b")
    '<div>a &lt; b</div>'
    """
    return f"<div>{html.escape(line)}</div>"


def page(title: str, *parts: str, note: str = "") -> str:
    """What stands over each other: a title, tables, and a note in small print.

    >>> page("1 row", note="of <many>")
    '<div><b>1 row</b><div style="opacity:0.65">of &lt;many&gt;</div></div>'
    """
    below = f'<div style="{_DIM}">{html.escape(note)}</div>' if note else ""
    return f"<div><b>{html.escape(title)}</b>{''.join(parts)}{below}</div>"


def _row(tag: str, cells: Sequence[str], right: Collection[int], under: Sequence[str] = ()) -> str:
    made = []
    for number, cell in enumerate(cells):
        align = "right" if number in right else "left"
        style = f"text-align:{align};padding:0.15em 0.75em 0.15em 0;border-bottom:{_LINE};white-space:pre-wrap"
        text = html.escape(cell)
        if under:
            text += f'<div style="{_DIM};font-weight:normal">{html.escape(under[number])}</div>'
        made.append(f'<{tag} style="{style}">{text}</{tag}>')
    return f"<tr>{''.join(made)}</tr>"
