"""Make the reference pages that come from the code: `make docs` writes them, tests/docs compares them.

Each page is a pure function of the source, so that what is written cannot differ from what runs: names from the public list, settings
from their table, verbs from the command line itself, errors from their tree, the table of bad input from the tests' markers.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args, get_type_hints

import click
import msgspec
from mlflow_reference import mlflow
from pages import ROOT, page, table
from size_reference import sizing

import bedplate
from bedplate.catalog.due import Occurrence
from bedplate.core import errors
from bedplate.core.columns import Column
from bedplate.core.config import SETTINGS
from bedplate.core.kinds import View
from bedplate.core.project import Given
from bedplate.core.records import Promotion, Record, Version
from bedplate.core.samples import Place, Reading, Sample
from bedplate.interfaces.cli.verbs import VERBS
from bedplate.pipeline.due.rules import Ruling
from bedplate.pipeline.due.work import Turn
from bedplate.pipeline.standing import Shown, Status
from bedplate.planner.asking.sizing import Binding, Breakdown, Design, Simulated, Sizing, Times
from bedplate.planner.facts.estimate import Estimate
from bedplate.security.permissions import RANK, ROLES, TABLE
from bedplate.stages.monitor.bring import Brought
from bedplate.stages.monitor.report import Report

REFERENCE = ROOT / "docs" / "reference"
DECORATORS = ("ingest", "prepare", "features", "train", "check", "service", "watch", "step")
NEEDS = {
    "cpu": "processors, 1 where it is not given",
    "gpu": "accelerators",
    "memory": 'bytes of memory, as `"2 GB"` or a number: a limit that is enforced',
    "time": 'how long it may take, as `"10 min"` or seconds: a limit that is enforced',
    "retries": "further tries after a failure",
}
QUESTIONS = (bedplate.Train, bedplate.Finetune, bedplate.Serve, bedplate.Batch, bedplate.Site, bedplate.Cost, bedplate.Limits)
SIZED = (Sizing, Design, Binding, Breakdown, Simulated, Times, Estimate)
BUILT = (bedplate.Model, bedplate.Check, bedplate.Workload, *QUESTIONS, *SIZED)
"""Classes that a project or a program makes itself or takes apart; of the others it is handed an instance."""
INNER = ("asked_by", "bind", "is_running", "predictor", "read_with", "start")
"""Public for the house's own rooms, not for a project."""
WORKSPACE = get_type_hints(bedplate.open)["return"]
HELD, SUMMARY = get_type_hints(WORKSPACE.__getitem__)["return"], get_type_hints(WORKSPACE.run)["return"]
ANSWERS = (Status, Shown, Version, Column, Promotion, Report, Brought, Turn, Ruling, Occurrence)
CALLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    (
        "An opened project",
        'For a notebook or a program: `project = bedplate.open(".")` gives an OpenProject, `project["late"]` what is Held under a name. '
        f"A `view` is one of {', '.join(f'`{view}`' for view in get_args(View))}.",
        (bedplate.open, WORKSPACE, HELD, SUMMARY),
    ),
    ("Model", "What a `train` function returns and a consumer receives.", (bedplate.Model,)),
    ("Check", "What a `check` or `watch` function returns.", (bedplate.Check,)),
    (
        "Context",
        "What a function receives that takes `context: Context`. It has `run`, `step`, `attempt`, `seed`, "
        "`random`, `deadline`, `checkpoints` and `stopping()`.",
        (bedplate.Context,),
    ),
    (
        "Sources",
        "What an ingest reads through: [add a source](../how-to/add-a-source.md).",
        (bedplate.Files, bedplate.Http, bedplate.Sql, bedplate.Redis),
    ),
    (
        "Samples and features",
        "What a function receives that takes `Samples` or `Features`: "
        "[many small files](../how-to/read-many-small-files.md), [features](../how-to/use-features.md).",
        (bedplate.Samples, Sample, Reading, Place, bedplate.Features),
    ),
    (
        "Defaults and keys",
        "What stands as a parameter's default, or after `each=`.",
        (bedplate.tune, bedplate.use, bedplate.daily, bedplate.hourly),
    ),
    (
        "Workload",
        "What `workload=` of a `train`, `step` or `service` takes: [plan a training job](../how-to/plan-a-training-job.md).",
        (bedplate.Workload,),
    ),
    (
        "Sizing",
        "`bedplate.size(bedplate.Train(model=..., tokens=...))` gives a Sizing: what it holds is in [size](size.md). A quantity is in the "
        "unit that its name ends with, and None is for the planner to choose.",
        (bedplate.size, *QUESTIONS, *SIZED),
    ),
)
EXIT_CODES = {
    0: "done",
    1: "a step failed: its own code raised, or a limit that it declares was hit",
    2: "wrong use: a verb, option, name, version or setting that is not right",
    3: "the project file, or how its functions are wired, is not right",
    4: "the world: disk, network, a server or another process; of `doctor`, something is wrong",
    5: "refused: a rule of the house says no (a budget, a barred version, a newer state)",
    6: "a check or a watch did not pass; of `rerun`, the result differs",
    70: "a mistake of bedplate's own: a report is written to a file, whose name is shown",
    130: "interrupted: by Ctrl-C, or asked to stop (a second time: at once); finished steps stay finished",
    141: "whoever read the answer stopped reading, as `head` does",
}
BAD_INPUT = (
    "a misspelt parameter",
    "a cycle",
    "two artifacts of one name",
    "a missing file",
    "an empty folder",
    "a column that changed type",
    "NaN labels",
    "a feature view without time",
    "a step that returns the wrong kind",
    "a step that prints 100 MB",
    "a step that forks",
    "a step that hangs",
    "a step that exhausts memory",
    "a step that raises",
    "a step that is killed",
    "a full disk",
    "a read-only folder",
    "a corrupted blob",
    "a truncated database",
    "a database server that is not there",
    "a bucket that is not there",
    "a store that cannot hold a lake",
    "a store that overwrites what should only be made once",
    "wrong credentials for a bucket",
    "a target that cannot be added",
    "a backup that is broken or not there",
    "a record with the store of another",
    "a bucket that is away",
    "a request with missing fields",
    "a request with extra fields",
    "a request with wrong-typed fields",
    "a huge request",
    "a request that is not JSON",
    "a port in use",
    "a model that is not known",
    "a machine that is not known",
    "a quantity without its unit",
    "a precision that is not there",
    "what cannot train",
    "what cannot be served",
    "what cannot be paid or housed",
    "limits that contradict each other",
    "a model that fits nowhere",
    "a broken row of the catalogue",
    "a machine that was never measured",
    "a late event",
    "a duplicate event",
    "a label without entity",
    "history rewritten behind what was served",
    "a window that cannot be added up",
    "a server that is killed",
    "a disk that fails",
    "an import of what is no tracker",
    "a key or a signature that is none",
    "a Redis that comes back empty",
)


class Shown(NamedTuple):
    """A test that shows what a piece of bad input gets."""

    line: str
    file: str
    name: str
    says: str


def settings() -> str:
    """Every setting: name, default, what it does."""
    intro = (
        "A value is taken from the environment (`BEDPLATE_` and the name in capitals), else from the chosen `[target.NAME]` table of "
        "`bedplate.toml` beside the project file, else from its top level, else it is the default. `{state}` stands for the state folder."
    )
    rows = [(f"`{one.name}`", f"`{one.default}`", f"`BEDPLATE_{one.name.upper()}`", one.help) for one in SETTINGS]
    return page("Settings", intro, table(("name", "default", "environment", "what it does"), rows))


def error_tree(kind: type[errors.BedplateError] = errors.BedplateError, depth: int = 0) -> Iterator[tuple[int, type[errors.BedplateError]]]:
    """Every error with its depth in the family tree."""
    yield depth, kind
    for child in sorted(kind.__subclasses__(), key=lambda one: (one.__module__ != errors.__name__, one.__name__)):
        if child.__module__ == errors.__name__:
            yield from error_tree(child, depth + 1)


def error_page() -> str:
    """Every error, its exit code and its meaning."""
    intro = (
        "An error says what happened, why, and what to type next. The command line ends with the error's exit code; "
        "a user's mistake shows no traceback."
    )
    rows = [
        ("&nbsp;" * 4 * depth + f"`{kind.__name__}`", str(kind.exit_code), (inspect.getdoc(kind) or "").splitlines()[0])
        for depth, kind in error_tree()
    ]
    codes = table(("exit code", "meaning"), [(f"`{code}`", meaning) for code, meaning in EXIT_CODES.items()])
    return page("Errors", intro, "## Exit codes", codes, "## Errors", table(("error", "exit code", "meaning"), rows))


def verbs() -> str:
    """Every verb with its arguments and options, from the commands themselves."""
    parts = []
    for group in dict.fromkeys(verb.group for verb in VERBS):
        shown = [verb for verb in VERBS if verb.group == group and not verb.hidden]
        parts.append(f"## {group}")
        for verb in shown:
            command: click.Command = getattr(importlib.import_module(verb.module, "bedplate.interfaces.cli"), verb.attribute)
            parts.append(f"### {verb.name}\n\n{_command(command, verb.name, verb.help)}")
            parts += _subcommands(command, verb.name)
    intro = "Every verb takes an optional project file; without one it finds the only project in the folder."
    return page("Verbs", intro, *parts)


def _command(command: click.Command, name: str, help: str = "") -> str:
    """How a command is typed, what it does, and its options."""
    context = click.Context(command, info_name=f"bedplate {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    says = inspect.cleandoc(command.help or help).split("\f")[0]
    records = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
    rows = [(f"`{record[0]}`", re.sub(r"\s+", " ", record[1])) for record in records if record]
    return f"    bedplate {name} {usage}\n\n{says}\n\n{table(('option', 'what it does'), rows)}"


def _subcommands(command: click.Command, name: str) -> list[str]:
    """What stands behind a verb that is a group."""
    inner = command.commands if isinstance(command, click.Group) else {}
    return [f"#### {name} {word}\n\n{_command(one, f'{name} {word}')}" for word, one in inner.items()]


def python() -> str:
    """What a program calls, with signatures: an opened project, what functions make and receive, what a step may need."""
    needs = [(f"`{name}`", f"`{_type(kind)}`", NEEDS[name]) for name, kind in get_type_hints(Given).items()]
    parts = [f"## {title}\n\n{says}\n\n{_calls(*owners)}" for title, says, owners in CALLS]
    says = "Every decorator takes these by name; a features decorator takes no limit of time, since its `time=` is its event time."
    parts.append("\n\n".join(["## Needs", says, table(("keyword", "type", "what it says"), sorted(needs))]))
    says = "Records: their fields are read by name, and each has one JSON form (`msgspec.json.encode`)."
    parts.insert(1, "\n\n".join(["## What an opened project answers with", says, *map(_record, ANSWERS)]))
    intro = "Every call of a program, a notebook or a project, with its types. What each name is for: [names](names.md)."
    return page("Python", intro, *parts)


def _calls(*owners: Any) -> str:
    """The public calls and properties of these classes and functions, one by one."""
    shown = ([*_members(one)] if inspect.isclass(one) else [_call(one, f"bedplate.{one.__name__}")] for one in owners)
    return "\n\n".join(call for calls in shown for call in calls)


def _record(kind: type) -> str:
    """A record's fields with their types, and its docstring."""
    said = {name: text for one in reversed(kind.__mro__) for name, text in inspect.get_annotations(one).items()}
    fields = [f"    {one.name}: {_type(said[one.name])}" for one in msgspec.structs.fields(kind)]
    made = ((name, one) for name, one in vars(kind).items() if isinstance(one, property))
    fields += [f"    {name} -> {_type(one.fget.__annotations__['return'])}" for name, one in made]
    return f"### {kind.__name__}\n\n{chr(10).join(fields)}\n\n{inspect.getdoc(kind)}"


def _members(owner: type) -> Iterator[str]:
    made = owner.__name__
    if owner in BUILT:
        yield _call(owner, made)
    house = [one for one in reversed(owner.__mro__) if one.__module__.startswith("bedplate") and one is not Record]
    for name, member in {name: member for one in house for name, member in vars(one).items()}.items():
        if isinstance(member, property):
            yield f"### {made}.{name}\n\n    {made}.{name} -> {_type(member.fget.__annotations__['return'])}\n\n{inspect.getdoc(member)}"
        elif name == "__getitem__" or (name[0] != "_" and name not in INNER and inspect.isroutine(member)):
            yield _call(getattr(owner, name), f"{made}.{name}").replace(f"{made}.__getitem__(name: str)", f"{made}[name: str]")


def _call(thing: Any, name: str) -> str:
    """A call's signature, as a person would type it, and its docstring."""
    found = inspect.signature(thing)
    given = [_parameter(one) for one in found.parameters.values() if one.name != "self"]
    stars = [at for at, one in enumerate(found.parameters.values()) if one.kind is inspect.Parameter.KEYWORD_ONLY]
    bare = stars and not any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in found.parameters.values())
    if bare:
        given.insert(stars[0] - ("self" in found.parameters), "*")
    answer = "" if inspect.isclass(thing) or found.return_annotation is inspect.Signature.empty else f" -> {_type(found.return_annotation)}"
    return f"### {name}\n\n    {name}({', '.join(given)}){answer}\n\n{inspect.getdoc(thing) or ''}"


def _parameter(one: inspect.Parameter) -> str:
    star = "*" if one.kind is inspect.Parameter.VAR_POSITIONAL else "**" if one.kind is inspect.Parameter.VAR_KEYWORD else ""
    default = "" if one.default is inspect.Parameter.empty else f" = {_default(one.default)}"
    return f"{star}{one.name}: {_type(one.annotation)}{default}"


def _default(value: Any) -> str:
    if isinstance(value, Record):
        return f"{type(value).__name__}()"
    return "..." if callable(value) else repr(value)


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"bedplate\.planner\.\w+\.", "", text.replace("bedplate.core.check.", ""))


def names() -> str:
    """Every public name and decorator with its call and its docstring."""
    parts = ["## Names"]
    parts += [_name(f"bedplate.{name}", getattr(bedplate, name)) for name in dir(bedplate) if name != "__version__"]
    parts.append("## Decorators")
    parts += [_name(f"@project.{name}", getattr(bedplate.Project, name)) for name in DECORATORS]
    return page(
        "Names",
        "What `import bedplate` offers, and what a Project decorates functions with. Every call with its types: [Python](python.md).",
        *parts,
    )


def _name(title: str, thing: Any) -> str:
    return f"### {title}\n\n{inspect.getdoc(thing) or ''}"


def shown() -> list[Shown]:
    """Every test with a bad_input marker, found by reading the tests, not by importing them."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                says = (ast.get_docstring(node) or node.name.removeprefix("test_").replace("_", " ")).split("\n\n")[0]
                file = str(path.relative_to(ROOT))
                found += [Shown(line, file, node.name, " ".join(says.split())) for line in _marked(node)]
    return found


def _marked(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for inner in (part for decorator in node.decorator_list for part in ast.walk(decorator)):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "bad_input":
            yield from (str(ast.literal_eval(argument)) for argument in inner.args)


def bad_input() -> str:
    """Every kind of bad input and the tests that show what it gets."""
    by_line: dict[str, list[Shown]] = {line: [] for line in BAD_INPUT}
    for one in shown():
        by_line.setdefault(one.line, []).append(one)
    rows = [
        (line, "<br>".join(f"{one.says} ([{one.name}](../../{one.file}))" for one in tests) or "*not shown yet*")
        for line, tests in by_line.items()
    ]
    intro = (
        "Each gets one clear message with the next command and the right exit code, no traceback, and loses nothing. "
        "A test that shows one carries `@pytest.mark.bad_input`."
    )
    return page("Bad input, and what it gets", intro, table(("bad input", "what it gets, and the test that shows it"), rows))


def roles() -> str:
    """Every role, and every action with the roles that may do it."""
    intro = (
        "Who may do what. A role is granted on one experiment (a project is one) or registered model, or on everything; whoever makes one "
        "is its maintainer. What an account has no role on is not there for it. A token does no more than its own role. What is in no "
        "row is denied."
    )
    named = [(f"`{name}`", says) for name, says in ROLES.items()]
    parts = [table(("role", "what it does beside what those before it do"), named)]
    for on, title in (("experiment", "On an experiment"), ("model", "On a registered model"), ("server", "On the server")):
        rows = [(f"`{row.action}`", row.what, *_may(row.least), "yes" if row.writes else "") for row in TABLE if row.on == on]
        parts.append(f"## {title}\n\n{table(('action', 'what it is', 'any account', *ROLES, 'changes something'), rows)}")
    log = "[the audit log](../explanation/the-audit-log.md)"
    why = f"`bedplate audit why USER ACTION RESOURCE` says whether somebody may, with the rule: {log}."
    return page("Roles", intro, *parts, why)


def _may(least: str) -> list[str]:
    """Which roles are strong enough, as cells."""
    return ["yes" if rank >= RANK[least] else "" for rank in RANK.values()]


PAGES: dict[str, Callable[[], str]] = {
    "bad-input.md": bad_input,
    "errors.md": error_page,
    "mlflow.md": mlflow,
    "names.md": names,
    "python.md": python,
    "roles.md": roles,
    "settings.md": settings,
    "size.md": sizing,
    "verbs.md": verbs,
}


def main() -> None:
    """Write every page."""
    for name, make in PAGES.items():
        path = REFERENCE / name
        path.write_text(make())
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
