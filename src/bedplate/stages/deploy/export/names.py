"""Names that other systems take: checked before a file is written, and never pasted into a command.

Kubernetes names objects after DNS (RFC 1123): small letters, digits and dashes, 63 at most. A name of Python's that only has underscores
and capitals too many is brought into that form; one that has no such form, or an address of an image with anything but its grammar in it,
is refused.
"""

from __future__ import annotations

import re
from typing import Final

from bedplate.core.errors import UserError

_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_PART: Final = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE: Final = re.compile(
    rf"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?\Z"
)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def label(name: str) -> str:
    """`will_be_late` -> `will-be-late`, as Kubernetes names objects. Raises UserError where a name has no such form."""
    made = name.lower().replace("_", "-").strip("-")
    if not _LABEL.match(made):
        raise UserError(
            f"'{name[:80]}' is no name that Kubernetes takes",
            why="it takes small letters, digits and dashes, 63 at most (DNS, RFC 1123)",
            next="--as NAME gives it another",
        )
    return made


def image(given: str) -> str:
    """An image's address as it is. Raises UserError for what is none."""
    if len(given) > 512 or not _IMAGE.match(given):
        raise UserError(
            f"'{given[:80]}' is no address of an image", why="it is REGISTRY/NAME:TAG", next="--image registry.example.com/team/late:1"
        )
    return given


def plain(name: str) -> str:
    """A name of a model as a folder and a protocol buffer have it. Raises UserError for another."""
    if not _PLAIN.match(name):
        raise UserError(f"'{name[:80]}' is no name for a folder", why="letters, digits and underscores", next="--as NAME gives it another")
    return name
