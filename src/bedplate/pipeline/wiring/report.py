"""Collecting mistakes about one declared function, with the line of the parameter they are about."""

from __future__ import annotations

from bedplate.core.project import Declaration

from .nodes import Mistake
from .syntax import line_of


class Report:
    """The mistakes found so far; `about` turns it to another function."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._file = ""
        self._line = 0
        self._name = ""

    def about(self, declaration: Declaration) -> Report:
        """The same report, turned to `declaration`."""
        self._file, self._line, self._name = declaration.file, declaration.line, declaration.name
        return self

    def error(self, message: str, suggestion: str = "", *, parameter: str = "") -> None:
        """A mistake that stops the project."""
        self.mistakes.append(
            Mistake(severity="error", file=self._file, line=self._where(parameter), message=message, suggestion=suggestion)
        )

    def warning(self, message: str, suggestion: str = "", *, parameter: str = "") -> None:
        """Something likely wrong that does not stop it."""
        self.mistakes.append(
            Mistake(severity="warning", file=self._file, line=self._where(parameter), message=message, suggestion=suggestion)
        )

    def _where(self, parameter: str) -> int:
        return line_of(self._file, self._name, self._line, parameter)
