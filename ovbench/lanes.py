"""Lanes: fresh worker processes that hold contestants, asked one thing at a time, survived when they die."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar

import execnet

from ovbench import worker
from ovbench.artifacts import temporary_folder
from ovbench.errors import ContestantRefused, LaneDied, LaneHung

ANSWER_TIMEOUT_S = 120.0  # compiling a large model on two cores takes tens of seconds; a hang takes for ever
TAIL_LINES = 3
NO_LANE = (OSError, EOFError, AssertionError)  # execnet asserts that the other side speaks Python

Started = TypeVar("Started")
STARTING = threading.Lock()  # the environment is the whole process's: one lane starts at a time


@dataclass(frozen=True)
class LaneSpec:
    """Where a lane runs: interpreter ("" is this one), extra environment, CPUs (empty: as inherited)."""

    python: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    affinity: tuple[int, ...] = ()

    def gateway(self) -> execnet.XSpec:
        """The execnet specification of such a process; set piece by piece, since its text form splits at ``//``."""
        spec = execnet.XSpec("popen")
        if self.python:
            spec.python = shlex.quote(self.python)
        return spec

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The environment in which the process is started; execnet's own ``env`` comes too late for the C library's."""
        with STARTING:
            before = {name: os.environ.get(name) for name, _ in self.environment}
            os.environ.update(dict(self.environment))
            try:
                yield
            finally:
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value


def started_deaf(start: Callable[[], Started]) -> Started:
    """What ``start`` returns; the process that it starts has Ctrl-C blocked, from before its first instruction.

    A signal mask is a thread's, and inherited through exec: so it is another thread that starts. This one can be
    interrupted all the while, even where the Python to be started hangs. (Windows has no masks: a lane that Ctrl-C
    meets before ``worker.serve`` tells its traceback there.)
    """
    told: Future[Started] = Future()

    def run() -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            told.set_result(start())
        except BaseException as error:  # noqa: BLE001  (raised again where the result is waited for)
            told.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return told.result()


class Askable(Protocol):
    """What rounds and campaigns need of a lane; tests put a fake with a fake clock here."""

    def ask(self, order: Mapping[str, Any], timeout_s: float = ...) -> dict[str, Any]:
        """Send one order and return its answer."""

    def close(self) -> None:
        """End the process."""


class Lane:
    """One worker process. Ask, and close it (or use it as a context manager).

    Raises LaneDied when the process is gone, LaneHung (and kills it) when no answer comes in time, ContestantRefused
    when OpenVINO says no; after the first two the lane is closed.
    """

    def __init__(self, spec: LaneSpec | None = None) -> None:
        self.spec = spec or LaneSpec()
        self._group = execnet.Group()
        self._kept = contextlib.ExitStack()
        self._log = self._kept.enter_context(temporary_folder("lane")) / "stderr.log"
        self._pid: int | None = None
        try:
            with self.spec.applied():
                self._gateway = started_deaf(lambda: self._group.makegateway(self.spec.gateway()))
            self._channel = self._gateway.remote_exec(worker)
            order = {"do": "hello", "stderr": str(self._log), "affinity": list(self.spec.affinity)}
            self.identity = self.ask(order)
        except (*NO_LANE, LaneDied, ContestantRefused) as error:
            self.close()
            python = self.spec.python or "this Python"
            why = worker.one_line(error)
            raise LaneDied(f"no lane could be started with {python}: {why}: give a Python that has openvino") from error
        except BaseException:
            self.close()
            raise
        self._pid = int(self.identity["pid"])

    @property
    def pid(self) -> int | None:
        """Process number, None before it has said hello and after it is closed."""
        return self._pid

    def ask(self, order: Mapping[str, Any], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Send one order (see ``worker.Worker``) and wait for its answer."""
        try:
            self._channel.send(dict(order))
            answer: dict[str, Any] = self._channel.receive(timeout_s)
        except self._channel.TimeoutError:
            said = self._last_words()
            self.close()
            raise LaneHung(f"a lane gave no answer to {order['do']!r} within {timeout_s:g} s{said}") from None
        except execnet.RemoteError as error:  # the worker's own code failed, which ends it
            self.close()
            raise LaneDied(f"a lane died at {order['do']!r}: {worker.one_line(error)}") from None
        except (EOFError, OSError):
            said = self._last_words()
            self.close()
            raise LaneDied(f"a lane died at {order['do']!r} ({order.get('key', 'no contestant')}){said}") from None
        if "refused" in answer:
            raise ContestantRefused(answer["refused"])
        return answer

    def close(self) -> None:
        """End the process, by force if need be; calling it again does nothing."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            self._pid = None
        self._group.terminate(timeout=1.0)
        self._kept.close()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                return "; it last said: " + " | ".join(lines[-TAIL_LINES:])
        return ""

    def __enter__(self) -> Lane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
