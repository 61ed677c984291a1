"""The packages that something needs to run, with their versions and licences, as they are installed here (`importlib.metadata`).

Followed are the requirements that are installed and are no extra's; an extra that is asked for is followed too. Limit: what a requirement
says of platforms is decided by what is installed on this machine.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from typing import Final

from bedplate.core.errors import UserError
from bedplate.core.records import Record

_NAME: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?", re.DOTALL)
_EXTRA: Final = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_LONGEST: Final = 120
UNKNOWN: Final = "not stated"


class Package(Record, frozen=True, kw_only=True):
    """A package: its name, the version that is installed, the licence that it states and its home."""

    name: str
    version: str
    licence: str
    home: str = ""

    @property
    def pin(self) -> str:
        """As a list of requirements has it."""
        return f"{self.name}=={self.version}"


def packages(wanted: Iterable[str]) -> tuple[Package, ...]:
    """Those packages (`lightgbm`, `bedplate[sklearn]`) and all that they need, by name. Raises UserError for one that is not installed."""
    found: dict[str, Package] = {}
    done: set[tuple[str, str]] = set()
    asked = [(name, True) for name in wanted]
    while asked:
        text, is_wanted = asked.pop()
        name, extras = _read(text)
        try:
            distribution = importlib.metadata.distribution(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            if is_wanted:
                raise UserError(f"{name} is not installed here", why="its version is not known", next=f"pip install {name}") from None
            continue
        found.setdefault(_same(name), _package(distribution))
        for extra in ("", *extras):
            if (_same(name), extra) not in done:
                done.add((_same(name), extra))
                asked += [(one, False) for one in distribution.requires or () if _holds(one, extra)]
    return tuple(found[name] for name in sorted(found))


def is_installed(name: str) -> bool:
    """Whether a package is installed here."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def pins(needed: Iterable[Package]) -> str:
    """A list of requirements, a line each."""
    return "".join(f"{one.pin}\n" for one in needed)


def _read(text: str) -> tuple[str, tuple[str, ...]]:
    match = _NAME.match(text.strip())
    name, extras = (match[1], match[2] or "") if match else (text, "")
    return name, tuple(one.strip() for one in extras.split(",") if one.strip())


def _holds(requirement: str, extra: str) -> bool:
    """Whether a requirement is that of an extra, or of none."""
    match = _NAME.match(requirement.strip())
    found = _EXTRA.search(match[4] or "") if match else None
    return (found[1] if found else "") == extra


def _same(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _package(distribution: importlib.metadata.Distribution) -> Package:
    about = distribution.metadata
    stated = _said(about, "License-Expression") or _said(about, "License").strip().partition("\n")[0]
    classified = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    licence = stated if stated and len(stated) <= _LONGEST and not stated.startswith(("UNKNOWN", "Copyright")) else ", ".join(classified)
    return Package(name=about["Name"], version=distribution.version, licence=licence or UNKNOWN, home=_said(about, "Home-page"))


def _said(about: importlib.metadata.PackageMetadata, field: str) -> str:
    return next(iter(about.get_all(field) or ()), "")
