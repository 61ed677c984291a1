"""What stands behind the router: a service that is quick, and one that takes as long as it is told."""

import os
import time

from bedplate import Project

routed = Project("routed")


@routed.service
def quick() -> int:
    """The process that answers."""
    return os.getpid()


@routed.service
def slow(seconds: float = 0.05) -> int:
    """The same, later."""
    time.sleep(seconds)
    return os.getpid()
