"""The documentation is true: made pages are current, links lead somewhere, and what it names exists."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bedplate.interfaces.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"), *(ROOT / "src").rglob("*.md")]
    if ".bedplate" not in path.parts
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:^ {4,}|`|\$ )bedplate ([a-z]+)\b", re.MULTILINE)
MAKE = re.compile(r"(?:`|^ +)make ([a-z-]+)", re.MULTILINE)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


generate = load(ROOT / "docs" / "generate.py")


@pytest.mark.parametrize("name", generate.PAGES)
def test_made_pages_are_current(name: str) -> None:
    """Next when this fails: `make docs`."""
    assert (ROOT / "docs" / "reference" / name).read_text() == generate.PAGES[name]()


def test_every_kind_of_bad_input_is_shown_by_a_test() -> None:
    """No line of the table is empty, and no marker is a misspelt line of it."""
    shown = {one.line for one in generate.shown()}
    assert set(generate.BAD_INPUT) - shown == set()
    assert shown - set(generate.BAD_INPUT) == {"a state folder of a newer bedplate"}


def test_every_error_ends_with_an_exit_code_that_is_explained() -> None:
    assert {kind.exit_code for _, kind in generate.error_tree()} - set(generate.EXIT_CODES) == set()


def test_every_need_is_explained() -> None:
    """The keywords that every decorator takes are all in docs/reference/python.md."""
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    assert [name for name in generate.get_type_hints(generate.Given) if f"| `{name}` |" not in page] == []


def test_links_lead_to_files() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    """A page that nothing links to is found by nobody."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        waiting += [page.parent / target for target in LINK.findall(page.read_text()) if "://" not in target]
    docs = {path.resolve() for path in PAGES if "starter" not in path.parts}
    assert sorted(str(path.relative_to(ROOT)) for path in docs - reached) == []


def test_the_verbs_that_pages_name_exist() -> None:
    known = {verb.name for verb in VERBS}
    named = [(page, verb) for page in PAGES for verb in COMMAND.findall(page.read_text())]
    assert [f"{page.relative_to(ROOT)}: bedplate {verb}" for page, verb in named if verb not in known] == []


def test_the_make_verbs_that_pages_name_exist() -> None:
    known = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [(page, verb) for page in PAGES for verb in MAKE.findall(page.read_text())]
    assert [f"{page.relative_to(ROOT)}: make {verb}" for page, verb in named if verb not in known] == []


def test_every_room_is_in_the_architecture() -> None:
    """ARCHITECTURE.md has a paragraph for each room."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    source = ROOT / "src" / "bedplate"
    rooms = [path.parent.relative_to(source) for path in source.glob("*/__init__.py")]
    rooms += [path.parent.relative_to(source) for path in [*source.glob("stages/*/__init__.py"), *source.glob("interfaces/*/__init__.py")]]
    assert [str(room) for room in rooms if f"`{room}/`" not in text] == []


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_places_that_are_named_exist(name: str) -> None:
    """A path in backquotes is one of the repository, of the package, or a file of the room that the paragraph is about."""
    source = ROOT / "src" / "bedplate"
    files = {path.name for path in source.rglob("*.py")}
    named = re.findall(r"`([\w./-]+(?:/|\.py))`", (ROOT / name).read_text())
    assert named
    gone = [one for one in named if not (ROOT / one).exists() and not (source / one).exists() and one not in files]
    assert [one for one in gone if one != "backends/"] == []


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    files = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    assert [name for name in files if name not in listed] == []


def test_every_metric_is_explained() -> None:
    """Each metric that the server exposes has its meaning in docs/reference/metrics.md."""
    folder = ROOT / "src" / "bedplate" / "interfaces" / "http"
    source = (folder / "metrics.py").read_text() + (folder / "router" / "tally.py").read_text()
    exposed = set(re.findall(r'"(bedplate_[a-z_]+)"', source))
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    assert exposed
    assert sorted(name for name in exposed if f"`{name}" not in page) == []


def test_every_public_word_is_in_the_glossary() -> None:
    """One word per idea: what a user imports, decorates with or types is explained."""
    glossary = (ROOT / "docs" / "reference" / "glossary.md").read_text().lower()
    words = {name.lower() for name in dir(generate.bedplate) if name[0] != "_"} | set(generate.DECORATORS)
    words |= {verb.name for verb in VERBS if not verb.hidden}
    assert sorted(word for word in words if f"**{word}**" not in glossary) == []
