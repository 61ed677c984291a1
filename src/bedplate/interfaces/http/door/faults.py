"""What went wrong, in the protocol's words: the house's errors become codes that its clients know.

What the house refuses is 400, not 500: clients repeat 500s for minutes. A mistake of our own is told by an id; the traceback goes to the
log under that id, and nowhere else.
"""

from __future__ import annotations

import logging
import traceback
from typing import Final

from bedplate.core.errors import NotFound, UserError, WorldError
from bedplate.interfaces.http.replies import Problem

from .endpoint import Fault
from .writer import RETRY

_LOG: Final = logging.getLogger("bedplate.up")


def fault_of(error: BaseException, error_id: str) -> Fault:
    """The answer to whatever was raised."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Problem):
        return Fault("BAD_REQUEST", f"{error.what}: {error.why}" if error.why else error.what, error.status, error.headers)
    if isinstance(error, NotFound):
        return Fault("RESOURCE_DOES_NOT_EXIST", _said(error))
    if isinstance(error, UserError):
        return Fault("INVALID_PARAMETER_VALUE", _said(error))
    if isinstance(error, WorldError):
        _LOG.error("%s %s", error_id, error)
        return Fault("TEMPORARILY_UNAVAILABLE", f"the record or the store cannot be used now ({error_id})", headers=RETRY)
    _LOG.error("%s a mistake of the server's own\n%s", error_id, "".join(traceback.format_exception(error)).rstrip())
    return Fault("INTERNAL_ERROR", f"the server made a mistake: look for {error_id} in its log")


def _said(error: UserError) -> str:
    return "; ".join(part for part in (error.what, error.why, error.next) if part)
