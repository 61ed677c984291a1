"""Names for runs that were given none: a word, a word and a number, from random bits."""

from __future__ import annotations

from typing import Final

_FIRST: Final = (
    "able", "amber", "brisk", "calm", "clear", "copper", "crisp", "dapper", "eager", "early", "fair", "fleet", "gentle", "glad", "golden",
    "grand", "hardy", "honest", "keen", "kind", "light", "lively", "lucid", "merry", "mild", "neat", "noble", "patient", "plain", "polite",
    "proud", "quick", "quiet", "rapid", "rare", "ready", "robust", "serene", "sharp", "silver", "smooth", "solid", "sound", "spry",
    "steady", "sunny", "swift", "tidy", "true", "upbeat", "vivid", "warm", "wise", "witty",
)  # fmt: skip
_SECOND: Final = (
    "alder", "ant", "aspen", "badger", "bay", "beech", "birch", "brook", "cedar", "clover", "cove", "crane", "dale", "deer", "dove", "elm",
    "falcon", "fern", "finch", "fjord", "fox", "glade", "grove", "hare", "hawk", "hazel", "heron", "hill", "ibis", "isle", "ivy", "jay",
    "lake", "lark", "linden", "lynx", "maple", "marten", "meadow", "moss", "newt", "oak", "otter", "owl", "pine", "plover", "reed",
    "ridge", "river", "robin", "rook", "seal", "shore", "stork", "stream", "swan", "tern", "thrush", "vale", "willow", "wren", "yew",
)  # fmt: skip


def run_name(bits: int) -> str:
    """A name, as `calm-otter-314`."""
    bits, first = divmod(bits, len(_FIRST))
    bits, second = divmod(bits, len(_SECOND))
    return f"{_FIRST[first]}-{_SECOND[second]}-{bits % 1000}"
