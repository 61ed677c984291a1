"""Reads an InferenceService with KServe's own models and writes what they understood: `python kserve_reads.py < service.json`.

Only the models are imported: the package itself brings servers and storage that nothing here needs.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path


def bare(name: str, folder: Path) -> None:
    """A package whose modules can be imported, and nothing that it imports itself."""
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package


def home(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


root = home("kserve")
bare("kubernetes", home("kubernetes"))
bare("kserve", root)
bare("kserve.models", root / "models")
client = importlib.import_module("kubernetes.client")
for path in sorted((root / "models").glob("v1*.py")):
    module = importlib.import_module(f"kserve.models.{path.stem}")
    for name, found in vars(module).items():
        if isinstance(found, type) and found.__module__ == module.__name__:
            setattr(client.models, name, found)
api = client.ApiClient()
answer = types.SimpleNamespace(data=sys.stdin.read())
read = api.deserialize(answer, "V1beta1InferenceService")
print(json.dumps(api.sanitize_for_serialization(read)))
