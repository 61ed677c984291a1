"""Where a frame may be put into what another server sends: between two frames, whatever the pieces they come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bedplate.interfaces.http.plane.relay import Frames

DATA, HEADERS, CONTINUATION, SETTINGS = 0, 1, 9, 4
FRAME = st.tuples(st.sampled_from([DATA, SETTINGS]), st.binary(max_size=12))


def frame(kind: int, payload: bytes, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + bytes(4) + payload


def block(first: bytes, second: bytes) -> list[bytes]:
    """Headers in two frames: between them nothing may come."""
    return [frame(HEADERS, first), frame(CONTINUATION, second, 4)]


@given(st.lists(st.one_of(FRAME.map(lambda one: [frame(*one)]), st.builds(block, st.binary(max_size=5), st.binary(max_size=5)))), st.data())
def test_a_place_is_found_only_where_a_frame_or_a_block_has_ended(groups: list[list[bytes]], data: st.DataObject) -> None:
    sent = b"".join(b"".join(group) for group in groups)
    ends, at = set(), 0
    for group in groups:
        at += len(b"".join(group))
        ends.add(at)
    frames, at = Frames(), 0
    while at < len(sent):
        piece = sent[at : at + data.draw(st.integers(1, 20))]
        found = frames.feed(piece)
        within = sorted(end - at for end in ends if at <= end <= at + len(piece))
        assert found == (within[0] if within else -1)
        at += len(piece)
        assert frames.between == (at in ends)
