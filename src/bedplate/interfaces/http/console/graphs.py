"""Graphs: nodes and arrows that a page draws (`assets/graph.js`, laid out by dagre); a table beside it says the same in words.

A page takes `graph(g)` of parts.html and loads `vendor/dagre.min.js` and `graph.js`. With a `source` the drawing asks that address, which
answers with `Graph.json()`, whenever something changed; the zoom stays. Limit: above `MOST` nodes nothing is laid out, the table stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from bedplate.core.records import Record

from .tables import Tone

MOST: Final = 600
"""Nodes that a browser lays out in a second or two."""


class Node(Record, frozen=True, kw_only=False):
    """A box: `label` and `sub` are two lines of it, `state` a word with its tone, `href` where it leads, `hint` what is said on hover."""

    id: str
    label: str
    sub: str = ""
    state: str = ""
    tone: Tone = "off"
    href: str = ""
    hint: str = ""


class Edge(Record, frozen=True, kw_only=False):
    """An arrow from one node's id to another's, with words where there are any."""

    source: str
    target: str
    label: str = ""


class Graph(Record, frozen=True):
    """What is drawn; `chosen` is the id of the node that the page is about."""

    name: str
    title: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    chosen: str = ""
    source: str = ""

    @property
    def is_large(self) -> bool:
        """Whether it is too large to be laid out."""
        return len(self.nodes) > MOST

    def json(self) -> str:
        """The graph for a script: no text in it can end the element that it stands in."""
        told = msgspec.json.encode(msgspec.to_builtins(self)).decode()
        return told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
