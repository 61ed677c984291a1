"""Frames survive any cutting, and nonsense is told from frames."""

from __future__ import annotations

import signal
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.ends import THREAD_VARIABLES, environment, how_it_ended
from bedplate.compute.frames import ANSWER, JOB, PROGRESS, Account, BrokenStream, Reader, account_bytes, pack, receive, split_account


@given(st.lists(st.tuples(st.sampled_from([JOB, PROGRESS, ANSWER]), st.binary(max_size=50))), st.integers(1, 40))
def test_frames_cut_anywhere_come_out_whole(frames, size):
    stream = b"".join(pack(kind, payload) for kind, payload in frames)
    reader = Reader()
    assert [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])] == frames


@pytest.mark.parametrize("nonsense", [b"hello, this is a print\n", b"\x02" + b"\xff" * 8, b"\x00" * 9])
def test_nonsense_is_no_frame(nonsense):
    with pytest.raises(BrokenStream):
        Reader().feed(nonsense)


def test_the_blocking_side_reads_what_was_packed_and_sees_the_end():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(pack(JOB, b"a", b"b") + pack(JOB) + pack(JOB, b"cut off")[:-1])
        ours.close()
        assert receive(theirs) == (JOB, b"ab")
        assert receive(theirs) == (JOB, b"")
        assert receive(theirs) is None


def test_an_account_stands_before_its_answer():
    account = Account(cpu_s=1.25, peak_bytes=123456789, spent=True)
    assert split_account(account_bytes(account) + b"answer") == (account, b"answer")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3 << 8, "ended with exit code 3"),
        (9, "was killed by SIGKILL"),
        (signal.SIGSEGV | 0x80, "was killed by SIGSEGV"),
        (64, "was killed by SIGRTMAX"),
    ],
)
def test_a_status_in_words(status, words):
    assert how_it_ended(status) == words


def test_thread_pools_get_what_was_asked_and_never_more():
    """A smaller number that the user set stays; a larger one, nonsense and 0 do not."""
    given = {"PATH": "/bin", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "64", "RAYON_NUM_THREADS": "many", "POLARS_MAX_THREADS": "0"}
    result = environment(given, 2)
    assert {name: result[name] for name in THREAD_VARIABLES} == dict.fromkeys(THREAD_VARIABLES, "2") | {"OMP_NUM_THREADS": "1"}
    assert (result["PATH"], result["PYTHONHASHSEED"]) == ("/bin", "0")
    assert environment({"PYTHONHASHSEED": "random"}, 2)["PYTHONHASHSEED"] == "random"
