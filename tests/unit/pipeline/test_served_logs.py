"""The logs of predictions by name: of services, of models that were asked themselves, and of what shadows said."""

from __future__ import annotations

from pathlib import Path

from bedplate.pipeline.served import logs
from bedplate.storage.local import local_store


def test_each_log_has_the_name_that_a_query_asks_for_it_by(tmp_path: Path) -> None:
    """The folders that hold others are no logs of services."""
    store = local_store(tmp_path)
    for name in ("late", "model/late", "shadow/late", "shadow/model/late"):
        store.log(f"predictions/{name}").append({"n": [1]})
    assert logs(store) == ["late", "model/late", "shadow/late", "shadow/model/late"]
    assert logs(local_store(tmp_path / "empty")) == []
