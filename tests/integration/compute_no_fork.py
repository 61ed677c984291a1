"""Imported by a fork server in a test: its second fork fails as on a machine with too many processes."""

import errno
import itertools
import os

_fork, _count = os.fork, itertools.count(1)


def _fork_but_not_the_second() -> int:
    if next(_count) == 2:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _fork()


os.fork = _fork_but_not_the_second
