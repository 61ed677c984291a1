"""Parts of kinds that have no form for all of them at once: models and pickles made `each=`.

The version of the whole names its parts and their digests and holds no bytes; each part is an artifact version of its own, as
`late[2025-01-31]`, which a consumer with the same `each=` gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bedplate.core import digests
from bedplate.core.errors import CorruptError, InternalError, UserError
from bedplate.core.kinds import Kind, View
from bedplate.core.records import Draft, Version

from .shelf import Save


class Apart:
    """The shelf of such wholes."""

    def save(self, request: Save) -> Draft:
        """Wholes are made by `combine`."""
        raise InternalError(f"{request.artifact} is not saved as a whole")

    def combine(self, artifact: str, kind: Kind, parts: Mapping[str, Version]) -> Draft:
        """A version that names its parts."""
        listed = [[key, parts[key].digest] for key in sorted(parts)]
        return Draft(artifact=artifact, kind=kind, digest=digests.of_parts((key, digest) for key, digest in listed), meta={"parts": listed})

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """Raises UserError: there is no one value."""
        raise UserError(
            f"{version.artifact} is one {version.kind} for each of {len(version.meta['parts'])} parts",
            why=f"a function can take one {version.kind}",
            next="give the consumer the same each=; it then gets its part",
        )

    def missing(self, version: Draft) -> list[str]:
        """Nothing: the parts are asked for themselves."""
        return []

    def verify(self, version: Draft) -> None:
        """Compute the digest again from the parts' digests. Raises CorruptError."""
        if digests.of_parts((key, digest) for key, digest in version.meta["parts"]) != version.digest:
            raise CorruptError(f"the record of {version.artifact} does not name its parts", next="bedplate doctor")

    def keeps(self, version: Draft) -> Iterable[str]:
        """Nothing: the parts are kept as versions of their own."""
        return []
