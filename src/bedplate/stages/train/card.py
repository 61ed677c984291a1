"""The model card: what a model is, what it takes, how well it does, how it came to be, and what is not known. Markdown.

A pure function of the record. Nothing is claimed that the record does not hold: what is missing is listed under its own heading, as a
reader takes silence for a yes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bedplate.catalog.tracking.tracked import CONTEXT, Dataset, DatasetInput
from bedplate.core.digests import short
from bedplate.core.model import Field
from bedplate.core.records import KeyParts, Promotion, Verdict
from bedplate.core.units import show_bytes, show_joules, show_seconds

from .facts import Facts

_SHOWN = 8
_SOURCE = 80
"""Characters of where a dataset came from."""


def card(facts: Facts) -> str:
    """The card of a model version as Markdown, ending with a newline."""
    sections = [_head(facts), _takes(facts), _quality(facts), _made(facts), _stands(facts), _took(facts), _unknown(facts)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(facts: Facts) -> str:
    version, described = facts.version, facts.version.meta.get("describe", {})
    where = f", now `{'`, `'.join(facts.aliases)}`" if facts.aliases else ""
    git = facts.run.git_commit[:12] + (" with uncommitted changes" if facts.run.git_dirty else "") if facts.run.git_commit else ""
    rows = {
        "Framework": facts.stored.flavour,
        "Class": described.get("class") or described.get("function", ""),
        "Trees": described.get("trees", ""),
        "Where": _where(described),
        "Origin": _origin(version.meta),
        "Served": f"it cannot be served: {version.meta['cannot_serve']}" if version.meta.get("cannot_serve") else "",
        "Instead": version.meta.get("instead", ""),
        "Lighter": _lighter(version.meta.get("optimised") or {}),
        "Asked by": facts.asked_by,
        "Digest": version.digest,
        "Size": show_bytes(version.size_bytes),
        "Made": f"{_day(version.created_at)}{_by(facts)}",
        "Command": f"`{facts.run.command}`" if facts.run.command else "",
        "Code": git,
    }
    said = f"\n\n{facts.description.strip()}" if facts.description.strip() else ""
    made = "that a client registered" if _is_client(facts) else f"of the project {facts.run.project}"
    return f"# {version.ref}\n\nA model {made}{where}.{said}\n\n{_pairs(rows)}"


def _where(described: Mapping[str, Any]) -> str:
    """Of a remote model: its address, and what its server said that it runs on."""
    address = described.get("address", "")
    return f"{address} ({described['platform']})" if address and described.get("platform") else address


def _lighter(made: Mapping[str, Any]) -> str:
    """Which version it is a lighter form of, by which ways, and what its check found of both."""
    if not made:
        return ""
    known = [one for one in made["figures"] if None not in (one["before"], one["after"])]
    figures = dict.fromkeys(f"{one['name']} {one['before']:.4g} -> {one['after']:.4g}" for one in known)
    told = f" ({', '.join(figures)})" if figures else ""
    return f"{made['of']} with {'; '.join(made['done'])}{told}"


def _is_client(facts: Facts) -> bool:
    return facts.run.origin == "client"


def _by(facts: Facts) -> str:
    """What made a version: an attempt at a step, or a client's run, of which it may be silent."""
    if not _is_client(facts):
        return f" by `{facts.attempt.step}`, run {facts.run.id}, attempt {facts.attempt.id}"
    return f" by run {facts.run.id} ({facts.client.run.name}) of the experiment {facts.run.project}" if facts.client else ""


def _origin(meta: Mapping[str, Any]) -> str:
    """Where a version came from that the project did not make."""
    if meta.get("origin") == "client":
        return f"registered by a client as {meta.get('source', '')} ({', '.join(meta.get('flavours', [])) or 'no flavour'})"
    return f"imported from {meta.get('file') or meta['address']}" if meta.get("origin") == "imported" else ""


def _takes(facts: Facts) -> str:
    signature = facts.stored.signature
    inputs = _table(("input", "type", "known values"), ((field.name, field.type, _categories(field)) for field in signature.inputs))
    outputs = _table(("output", "type", "classes"), ((field.name, field.type, _categories(field)) for field in signature.outputs))
    if not facts.stored.example:
        return f"## What it takes and gives\n\n{inputs}\n\n{outputs}"
    example = json.dumps(facts.stored.example[0], ensure_ascii=False)
    call = f'model = bedplate.open(".")["{facts.version.artifact}"].load(version={facts.version.number})'
    return f"## What it takes and gives\n\n{inputs}\n\n{outputs}\n\n```python\n{call}\nmodel.predict({example})\n```"


def _quality(facts: Facts) -> str:
    metrics = {**facts.version.meta.get("metrics", {}), **facts.metrics}
    parts = [_table(("metric", "value"), ((name, f"{value:.6g}") for name, value in metrics.items()))]
    for verdict in facts.verdicts:
        check = facts.checks.get(f"{verdict.check}@{verdict.check_version}")
        lines = [f"- {finding}" for finding in check.findings] if check else []
        parts.append("\n".join([f"**{_verdict(verdict)}**, {_day(verdict.at)}", *([""] if lines else []), *lines]))
    parts = [part for part in parts if part]
    return "## How well it does\n\n" + "\n\n".join(parts) if parts else ""


def _made(facts: Facts) -> str:
    keys = facts.step.key_parts if facts.step else None
    direct = [edge for edge in facts.lineage.upstream if edge.downstream == facts.version.ref] if facts.lineage else []
    parts = [
        _table(("input", "version"), dict.fromkeys((edge.parameter, edge.upstream) for edge in direct)),
        _table(("source of", "parameter", "files", "size"), _sources(facts)),
        _table(("setting", "value"), ((name, value) for name, value in {**(keys.settings if keys else {}), **facts.params}.items())),
        _table(("dataset", "digest", "for", "from"), _datasets(facts)),
        _code(keys) if keys else "",
    ]
    parts = [part for part in parts if part]
    return "## How it was made\n\n" + "\n\n".join(parts) if parts else ""


def _datasets(facts: Facts) -> list[tuple[str, ...]]:
    """What a client said that its run was trained or tested on."""
    inputs = facts.client.datasets if facts.client else []
    return [(one.dataset.name, one.dataset.digest, _used(one), _source(one.dataset)) for one in inputs]


def _used(given: DatasetInput) -> str:
    """What a dataset was used for, as its client said."""
    return next((tag.value for tag in given.tags if tag.key == CONTEXT), "")


def _source(dataset: Dataset) -> str:
    """Where a dataset came from: its address where it says one, else what kind of place that was."""
    try:
        said = json.loads(dataset.source)
    except ValueError:
        return dataset.source_type
    told = said.get("uri") or said.get("url") or said.get("path") if isinstance(said, dict) else None
    return str(told)[:_SOURCE] if told else dataset.source_type


def _code(keys: KeyParts) -> str:
    own = [part for part in keys.code if not part.imports]
    rows = ((part.name.rpartition(":")[2], f"{part.file}:{part.line}", short(part.digest)) for part in own)
    imported = ", ".join(f"`{name}`" for name in sorted({part.imports for part in keys.code if part.imports}))
    packages = ", ".join(f"{name} {version}" for name, version in sorted(keys.packages.items()))
    uses = f" It imports {imported}." if imported else ""
    return f"{_table(('code', 'place', 'digest'), rows)}\n\nPython {keys.python or 'unknown'}; {packages or 'no packages recorded'}.{uses}"


def _sources(facts: Facts) -> list[tuple[str, ...]]:
    edges = facts.lineage.sources if facts.lineage else ()
    return [(e.downstream, e.parameter, str(len(e.entries)), show_bytes(sum(entry.size for entry in e.entries))) for e in edges]


def _stands(facts: Facts) -> str:
    moves = [move for move in facts.history if facts.version.number in (move.version, move.before)]
    if not moves:
        return ""
    return "## Where it stands\n\n" + _table(("when", "alias", "what", "why"), ((_day(m.at), m.alias, _move(m), m.reason) for m in moves))


def _took(facts: Facts) -> str:
    usage = facts.attempt.usage
    if _is_client(facts):
        took = (facts.run.ended_at - facts.run.started_at).total_seconds() if facts.client and facts.run.ended_at else 0.0
        return f"## What making it took\n\n{_pairs({'Time': f'{show_seconds(took)}, the whole run'})}" if took else ""
    rows = {
        "Time": show_seconds(usage.wall_s),
        "Processor": show_seconds(usage.cpu_s),
        "Memory": show_bytes(usage.peak_bytes) if usage.peak_bytes else "",
        "Energy": f"{show_joules(usage.energy_joules)} ({usage.energy_basis})" if usage.energy_basis != "unknown" else "",
        "Cost": f"{usage.cost_usd:.4f} USD" if usage.cost_usd else "",
        "On": f"{facts.run.host}, target {facts.run.target}" if facts.run.host else f"target {facts.run.target}",
    }
    return f"## What making it took\n\n{_pairs(rows)}"


def _unknown(facts: Facts) -> str:
    checks = [check for check in facts.checks.values() if check.findings]
    sliced = any(finding.slice for check in checks for finding in check.findings)
    basis = facts.attempt.usage.energy_basis
    silent = "nobody described it" if _is_client(facts) else f"`{facts.attempt.step}` has no docstring"
    gaps = {
        f"What it is for, and what not: {silent}.": not facts.description.strip(),
        "Whether it is good enough: no check has judged this version.": not facts.verdicts,
        "How it does on parts of the data: no check compared slices.": bool(facts.verdicts) and not sliced,
        "How well it did in training: no metric was recorded.": not facts.metrics and not facts.version.meta.get("metrics"),
        f"The exact code in version control: {'its client did not say' if _is_client(facts) else 'it was not in git'}.": not (
            facts.run.git_commit
        ),
        "The exact code in version control: there were uncommitted changes (the digests above are of what ran).": facts.run.git_dirty,
        "Its energy: no meter was read.": basis == "unknown",
        "Its energy as measured: the figure is an assumed power times the time.": basis == "assumed",
        "Where its data came from: no source file is in its lineage.": not (facts.lineage and facts.lineage.sources)
        and not _datasets(facts),
        "Whom the data describes, and whether they agreed: the record does not say.": True,
        "How it does on inputs unlike its training data: see `bedplate watch` for what it has served.": True,
    }
    return "## What is not known\n\n" + "\n".join(f"- {gap}" for gap, holds in gaps.items() if holds)


def _categories(field: Field) -> str:
    more = len(field.categories) - _SHOWN
    return ", ".join(field.categories[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.check}@{verdict.check_version} {'passed' if verdict.passed else 'did not pass'}"


def _move(move: Promotion) -> str:
    before = f" from {move.before}" if move.before is not None else ""
    return f"{'rolled back' if move.by == 'rollback' else 'promoted'} to {move.version}{before} by {move.by}"


def _day(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _pairs(rows: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {_cell(value)}" for name, value in rows.items() if value != "")


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|", *lines]) if lines else ""


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
