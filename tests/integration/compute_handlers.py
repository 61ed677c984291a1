"""What the compute tests have workers do: `worker_handler` obeys one JSON list, its first item the name of an action below."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from bedplate.compute.executor import Handle, Spent

KEPT: list[bytes] = []


def worker_handler(stopping: Callable[[], bool]) -> Handle:
    KEPT.append(b"made")

    def handle(payload: bytes, report: Callable[[bytes], None]) -> bytes:
        action, *arguments = json.loads(payload)
        return globals()[action](stopping, report, *arguments)

    return handle


def echo(stopping, report, text):
    return text.encode()


def pid(stopping, report):
    return str(os.getpid()).encode()


def made(stopping, report):
    return str(len(KEPT)).encode()


def environ(stopping, report, name):
    return os.environ.get(name, "").encode()


def reports(stopping, report, count):
    for number in range(count):
        report(str(number).encode())
    return b"done"


def fail(stopping, report, text):
    raise RuntimeError(text)


def spent(stopping, report, text):
    raise Spent(text.encode())


def end(stopping, report, code):
    os._exit(code)


def segfault(stopping, report):
    ctypes.string_at(0)


def pause(stopping, report, seconds):
    report(str(os.getpid()).encode())
    time.sleep(seconds)
    return b"slept"


def until_stopped(stopping, report):
    report(str(os.getpid()).encode())
    while not stopping():
        time.sleep(0.005)
    return b"checkpointed"


def deaf(stopping, report):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(str(os.getpid()).encode())
    while True:
        time.sleep(1)


def take_memory(stopping, report, size, seconds):
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(seconds)
    return str(len(block)).encode()


def say(stopping, report, text):
    print(text)
    return b""


def say_much(stopping, report, size):
    line = b"x" * 99 + b"\n"
    for _ in range(size // (100 * 1000)):
        sys.stdout.buffer.write(line * 1000)
    sys.stdout.buffer.write(b"the very last line\n")
    return b"said"


def start_children(stopping, report, escape):
    """A child in the group, one that may leave it, and an orphan; all outlive the job unless they are killed."""
    code = "import time; time.sleep(60)"
    pids = [subprocess.Popen([sys.executable, "-c", code], start_new_session=new).pid for new in (False, escape)]
    here, there = os.pipe()
    middle = os.fork()
    if middle == 0:
        if escape:
            os.setsid()
        orphan = os.fork()
        if orphan == 0:
            time.sleep(60)
        else:
            os.write(there, b"%d" % orphan)
        os._exit(0)
    os.waitpid(middle, 0)
    pids.append(int(os.read(here, 100)))
    return json.dumps(pids).encode()


def start_children_and_wait(stopping, report, escape):
    report(start_children(stopping, report, escape))
    time.sleep(60)


def use_polars(stopping, report):
    polars = importlib.import_module("polars")

    frame = polars.DataFrame({"a": list(range(1000))}).lazy().group_by(polars.col("a") % 7).agg(polars.len()).collect()
    return json.dumps([frame.height, polars.thread_pool_size()]).encode()


def use_delta(stopping, report, folder):
    deltalake, polars = importlib.import_module("deltalake"), importlib.import_module("polars")

    frame = polars.DataFrame({"a": [1, 2, 3]})
    frame.write_delta(folder)
    return str(polars.scan_delta(deltalake.DeltaTable(folder)).collect().height).encode()


def close_everything(stopping, report):
    os.closerange(3, 1000)
    return b"lost"


def big(stopping, report, size):
    return b"z" * size


def burn(stopping, report, seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    report(str(os.getpid()).encode())
    time.sleep(60)


def take_memory_in_child(stopping, report, size):
    code = f"import time; block = bytearray({size}); block[::4096] = b'x' * len(block[::4096]); time.sleep(30)"
    subprocess.run([sys.executable, "-c", code], check=True)
