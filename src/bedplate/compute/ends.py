"""The controller's ends of a fork server and of a worker: processes, sockets and pipes, and nothing that is decided.

Nothing here blocks on a worker: its socket and its log pipe are non-blocking, so a worker that stops reading, writes half an answer
or is frozen holds up no one. What arrives is handed to the executor's own methods.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bedplate.core.errors import WorldError

from .frames import BROKEN, BrokenStream, Exited, Kill, Reader, Spawn, Spawned, hear_server, tell_server

Watch = Callable[[int, int, Callable[[int], None]], None]
"""`watch(fd, events, react)`: call `react(events)` when the descriptor is ready; no events forgets it."""

_PIPE_BYTES: Final = 1 << 20
_PIECE: Final = 1 << 18
_LAST_WORDS_BYTES: Final = 4096
THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS",
)  # fmt: skip
"""What native libraries size their pools by. Polars reads its own when it is imported, so each count has a fork server."""


def environment(environ: Mapping[str, str], threads: int) -> dict[str, str]:
    """The environment of a fork server whose workers may use `threads` processors.

    A smaller number that the user set stays. Hashes are not random there, so that a step which walks through a set repeats itself.
    """
    result = {**environ, "PYTHONHASHSEED": environ.get("PYTHONHASHSEED", "0")}
    for name in THREAD_VARIABLES:
        asked = environ.get(name, "")
        result[name] = str(min(int(asked), threads) if asked.isdigit() and int(asked) else threads)
    return result


def how_it_ended(status: int) -> str:
    """A waitpid status in words: "was killed by SIGKILL", "ended with exit code 3"."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


class ServerEnd:
    """A running fork server. `hear` gets its messages; None when it is gone."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], watch: Watch, hear: Callable[[ServerEnd, Spawned | Exited | None], None],
    ) -> None:  # fmt: skip
        self.proved = False
        self.words = bytearray()
        self._hear = hear
        self._watch = watch
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = [*command, "--server", str(theirs.fileno()), "--controller", str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0,
                pass_fds=(theirs.fileno(),), env=dict(environ), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._control.close()
            raise WorldError(
                f"the fork server could not be started: {error.strerror}", why=" ".join(arguments), next="bedplate doctor"
            ) from error
        finally:
            theirs.close()
        assert self._process.stderr is not None
        self._stderr = self._process.stderr.fileno()
        os.set_blocking(self._stderr, False)
        self._control.setblocking(False)
        watch(self._control.fileno(), selectors.EVENT_READ, self._on_message)
        watch(self._stderr, selectors.EVENT_READ, self._on_words)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def spawn(self, number: int, connection: socket.socket, output: int, environ: dict[str, str]) -> None:
        """Ask for worker `number`. A server that is gone says so by its end of stream."""
        with contextlib.suppress(OSError):
            tell_server(self._control, Spawn(number=number, environ=environ), (connection.fileno(), output))

    def kill(self, number: int) -> None:
        """Have a worker and all it started killed; `Exited` follows."""
        with contextlib.suppress(OSError):
            tell_server(self._control, Kill(number=number))

    def close(self, patience_s: float) -> str:
        """Let go; the server kills its workers and ends. Returns how it ended, with its last words."""
        self._on_words(0)
        self._watch(self._control.fileno(), 0, self._on_message)
        self._watch(self._stderr, 0, self._on_words)
        self._control.close()
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        last = bytes(self.words).decode(errors="replace").strip().rsplit("\n", 1)[-1]
        how = how_it_ended(code << 8 if code >= 0 else -code)
        return f"{how} ({last})" if last else how

    def _on_message(self, events: int) -> None:
        while True:
            try:
                heard = hear_server(self._control)
            except BlockingIOError:
                return
            except ConnectionError:
                heard = None
            self._hear(self, heard)
            if heard is None:
                return

    def _on_words(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self._stderr, _PIECE)
            if not piece:
                self._watch(self._stderr, 0, self._on_words)
            self.words += piece
            del self.words[:-_LAST_WORDS_BYTES]


class WorkerEnd:
    """A worker as its controller holds it. `on_frame(worker, kind, payload)` and `on_output(worker, data)` get what arrives."""

    def __init__(
        self, number: int, server: ServerEnd, environ: dict[str, str], watch: Watch,
        on_frame: Callable[[WorkerEnd, int, bytes], None], on_output: Callable[[WorkerEnd, bytes], None],
    ) -> None:  # fmt: skip
        self.number = number
        self.server = server
        self.pid: int | None = None
        self.cpu_s = 0.0
        self._watch = watch
        self._on_frame = on_frame
        self._on_output = on_output
        self._reader = Reader()
        self._unsent = bytearray()
        self._connection, theirs = socket.socketpair()
        self._output, printed = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(printed, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._connection.setblocking(False)
        os.set_blocking(self._output, False)
        with theirs:
            server.spawn(number, theirs, printed, environ)
        os.close(printed)
        watch(self._connection.fileno(), selectors.EVENT_READ, self._on_connection)
        watch(self._output, selectors.EVENT_READ, self._on_printed)

    def send(self, frame: bytes) -> None:
        """Write a frame as far as the worker reads; the rest goes when it does."""
        self._unsent += frame
        self._flush()

    def signal(self, number: signal.Signals) -> None:
        """A signal to the worker alone."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """The worker and all it started."""
        self.server.kill(self.number)

    def kill_group(self) -> None:
        """Without a fork server to ask: what is left of the worker's process group."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def drain_output(self) -> None:
        """Take what has been printed so far: at most what the pipe can hold, so a child that prints for ever ends nothing."""
        got = 0
        while self._output >= 0 and got <= _PIPE_BYTES:
            size = self._take_output()
            if not size:
                return
            got += size

    def drain_frames(self) -> None:
        """Take what the worker said before it died."""
        with contextlib.suppress(BlockingIOError):
            while self._connection.fileno() >= 0 and self._take_frames():
                pass

    def close(self) -> None:
        """Let go; an idle worker then ends by itself."""
        if self._connection.fileno() >= 0:
            self._watch(self._connection.fileno(), 0, self._on_connection)
            self._connection.close()
        if self._output >= 0:
            self._watch(self._output, 0, self._on_printed)
            os.close(self._output)
            self._output = -1

    def _on_connection(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush()
        if events & selectors.EVENT_READ:
            with contextlib.suppress(BlockingIOError):
                if not self._take_frames() and self._connection.fileno() >= 0:
                    self._watch(self._connection.fileno(), 0, self._on_connection)

    def _on_printed(self, events: int) -> None:
        self._take_output()

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self._connection.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
        if self._connection.fileno() >= 0:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            self._watch(self._connection.fileno(), wanted, self._on_connection)

    def _take_frames(self) -> bool:
        try:
            piece = self._connection.recv(_PIECE)
        except ConnectionError:
            return False
        try:
            frames = self._reader.feed(piece)
        except BrokenStream as error:
            frames = [(BROKEN, str(error).encode())]
        for kind, payload in frames:
            self._on_frame(self, kind, payload)
        return bool(piece)

    def _take_output(self) -> int:
        try:
            piece = os.read(self._output, _PIECE)
        except BlockingIOError:
            return 0
        if not piece:
            self._watch(self._output, 0, self._on_printed)
            return 0
        self._on_output(self, piece)
        return len(piece)
