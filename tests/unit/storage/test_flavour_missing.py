"""A flavour whose library is not installed: said plainly, with what to install, for each of them."""

from __future__ import annotations

import sys

import pytest

from bedplate.core.errors import UserError
from bedplate.storage import flavours


@pytest.mark.parametrize(("flavour", "package"), [("xgboost", "xgboost"), ("torch", "torch"), ("onnx", "onnxruntime")])
def test_a_missing_library_is_said_with_its_remedy(monkeypatch, flavour, package):
    """The name of the package that is not there, and the extra of bedplate that brings it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package or name.endswith(f"{flavour}_model")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(package), *sys.meta_path])
    with pytest.raises(UserError, match=f"needs the package {package}") as caught:
        flavours.find(flavour)
    assert caught.value.next == f"pip install 'bedplate[{flavour}]'"


class Absent:
    """Finds nothing, and says that one package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
