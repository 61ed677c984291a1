"""What a service has predicted, as an input of a step: a version of kind `service`, known by its logs.

The version pins the files of the prediction log and of the labels that people brought, so that a step reads what it was decided on while
both logs grow; its digest is that of the files' names, which are never used twice. Its number is how many files there are: it is
shown, and names nothing in the catalog. Putting small files together makes another digest of the same rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bedplate.core.digests import of_json
from bedplate.core.records import Version
from bedplate.storage.store import Store

PREDICTIONS: Final = "predictions"
LABELS: Final = "labels"
SERVICES: Final = f"{PREDICTIONS}/"
MODELS: Final = f"{PREDICTIONS}/model/"
SHADOWS: Final = f"{PREDICTIONS}/shadow/"
"""What the names of logs begin with: of services, of models asked themselves, of what shadows said."""
LOST: Final = "predictions.lost"
"""The kind of event that says how many answers of a service (`subject`) are not in its log (`data`: count, why)."""
SWAPPED: Final = "service.swapped"
"""The kind of event that says which versions a server answers with from then on."""

OVER: Final = "over"
"""What a version's `meta` has where it is a service's answers to a table: the digest of everything that they depend on."""
RUNTIME: Final = "model.runtime"
"""The kind of event that says by which runtime a server asks a model version (`subject`), with the figures behind that."""
LOAD_FAILED: Final = "service.load_failed"
"""The kind of event that says that a version (`subject`) could not be loaded to serve (`data`: reason)."""
PROCESS_DIED: Final = "model.process_died"
"""The kind of event that says that a process that predicted for a version (`subject`) died (`data`: how, had_work, again_s, deaths)."""
CONCLUDED: Final = "rollout.concluded"
"""The kind of event that says how the roll-out of a version (`subject`) ended (`data`: trial, and the move: alias, by, version, why)."""
BEGUN: Final = "rollout.begun"
"""The kind of event that says that a server tries a version (`subject`) from now on (`data`: trial, rule, by whom)."""
ENDED: Final = "rollout.ended"
"""The kind of event that says that a server tries a version (`subject`) no more, which it did not judge (`data`: trial, why, by_person)."""


def log_name(what: str, service: str) -> str:
    """The log of a service's predictions or labels: `predictions/will_be_late`."""
    return f"{what}/{service}"


def logs(store: Store) -> list[str]:
    """The logs of predictions that there are, by service; `model/late` is that of a model asked itself, `shadow/...` what shadows said."""
    below = {prefix: store.logged(prefix.rstrip("/")) for prefix in (SERVICES, MODELS, SHADOWS, f"{SHADOWS}model/")}
    named = [f"{prefix}{name}" for prefix, names in below.items() for name in names if f"{prefix}{name}/" not in below]
    return [name.removeprefix(SERVICES) for name in named]


def served(store: Store, service: str, at: datetime) -> Version | None:
    """What the service has predicted until now, and the labels known; None where it has predicted nothing yet."""
    files = {what: [path.name for path in store.log(log_name(what, service)).files()] for what in (PREDICTIONS, LABELS)}
    if not files[PREDICTIONS]:
        return None
    return Version(
        artifact=service, kind="service", digest=of_json(files), uri=log_name(PREDICTIONS, service), meta=files,
        number=sum(len(names) for names in files.values()), created_at=at, attempt="",
    )  # fmt: skip
