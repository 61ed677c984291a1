"""The code behind a model of the project's own: all that its function reaches, so that another helper is another model.

What is answered is the code that this process runs: where a file was edited since it was loaded and had not been read before that,
nobody can tell any more, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bedplate.core.errors import UserError

from .closure import closure, files_of
from .load import Loaded


class Behind:
    """Answers with the digest of each part that a function of one loaded project reaches."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._known: dict[Callable[..., Any], dict[str, str]] = {}

    def __call__(self, function: Callable[..., Any]) -> dict[str, str]:
        """Part -> digest. Raises UserError where the files are not what this process runs."""
        if function not in self._known:
            roots = [self._loaded.file.parent]
            parts = closure(function, roots, main=self._loaded.file)
            files = files_of(parts, roots)
            if edited := [name for name, stat in files.items() if self._loaded.read.get(name, stat) != stat]:
                raise UserError(
                    f"the source of {function.__qualname__} is not what this process runs",
                    why=f"edited since: {', '.join(sorted(edited))}",
                    next="start this command again",
                )
            self._known[function] = {part.name: part.digest for part in parts}
        return self._known[function]
