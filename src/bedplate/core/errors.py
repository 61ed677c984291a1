"""The family tree of errors.

    BedplateError
    |- UserError          the user's mistake: nothing is broken, say what to change
    |  |- ProjectError    the project file or its wiring (exit 3)
    |  |- NotFound        a name, version or alias that does not exist
    |  `- Refused         a rule of the house says no (barred version, newer state, budget)
    |- WorldError         the world's fault: disk, network, server, another process (exit 4)
    |  |- StoreError      bytes that cannot be read or written
    |  |  `- CorruptError bytes that are not what their digest promises
    |  |- CatalogError    the record cannot be read or written
    |  `- BusyError       someone else holds it now
    |- StepError          the step's own code or its limits (exit 1)
    |  `- AnswerError     a function answered otherwise than it declares
    `- InternalError      our bug (exit 70)

Every error says what happened, why, and the next command. `exit_code` is what the command line ends with.
"""

from __future__ import annotations


class BedplateError(Exception):
    """What happened, why it did, and what to type next."""

    exit_code = 70

    def __init__(self, what: str, *, why: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why:  {self.why}")
        if self.next:
            lines.append(f"  next: {self.next}")
        return "\n".join(lines)

    @property
    def line(self) -> str:
        """What happened and what to do about it, on one line."""
        return f"{self.what}: {self.next}" if self.next else self.what


class UserError(BedplateError):
    """Something asked for cannot be done as asked."""

    exit_code = 2


class ProjectError(UserError):
    """The project file, or how its functions are wired, is not right."""

    exit_code = 3


class NotFound(UserError):
    """Nothing has that name, version or alias."""


class Refused(UserError):
    """A rule of the house says no."""

    exit_code = 5


class WorldError(BedplateError):
    """Disk, network, a server or another process got in the way."""

    exit_code = 4


class StoreError(WorldError):
    """Bytes could not be read or written."""


class CorruptError(StoreError):
    """Stored bytes are not what their digest promises."""


class GoneError(StoreError):
    """Bytes that the record names are no longer there."""


class CatalogError(WorldError):
    """The record could not be read or written."""


class BusyError(WorldError):
    """Another process holds what was asked for."""


class StepError(BedplateError):
    """A step's own code raised, or a limit that it declares was hit."""

    exit_code = 1


class AnswerError(StepError):
    """A function returned what its annotation does not say, or another number of answers than it was asked for."""


class InternalError(BedplateError):
    """A mistake in bedplate itself."""

    exit_code = 70
