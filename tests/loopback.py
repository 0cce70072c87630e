"""A server on loopback that serves one file, and breaks off, stays silent or lies where it is told to."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ovbench.fetch.downloads import Download

Answer = Callable[["Handler", bytes, "int | None"], None]
"""Answers one request for the content, from the byte asked for on; None: from the first."""


@dataclass
class Loopback:
    """What is served, how each request is answered in turn (the last answer stays), and what was asked for."""

    content: bytes
    answers: list[Answer]
    url: str = ""
    asked: list[int | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def download(self, **changes: Any) -> Download:
        """The served file as what is wanted."""
        return Download(
            **{
                "file": "thing.bin",
                "size_bytes": len(self.content),
                "checksum": "sha384:" + hashlib.sha384(self.content).hexdigest(),
                "addresses": (self.url,),
                **changes,
            }
        )


class Handler(BaseHTTPRequestHandler):
    told: Loopback

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        start = None if asked is None else int(asked.removeprefix("bytes=").removesuffix("-"))
        answer = self.told.answers[min(len(self.told.asked), len(self.told.answers) - 1)]
        self.told.asked.append(start)
        with contextlib.suppress(ConnectionError):  # a client that has given up
            answer(self, self.told.content, start)

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_told: object) -> None:
        pass


@contextlib.contextmanager
def serve(content: bytes, *answers: Answer) -> Iterator[Loopback]:
    told = Loopback(content, list(answers) or [whole])
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Handler,), {"told": told}))
    told.url = f"http://127.0.0.1:{server.server_port}/thing.bin"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        told.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def until(end: int) -> Answer:
    """The rest as it was asked for, but the connection ends when the file's byte ``end`` is reached."""

    def answer(handler: Handler, content: bytes, start: int | None) -> None:
        first = start or 0
        if start is None:
            handler.head(200, Content_Length=len(content))
        else:
            span = f"bytes {first}-{len(content) - 1}/{len(content)}"
            handler.head(206, Content_Length=len(content) - first, Content_Range=span)
        handler.wfile.write(content[first:end])

    return answer


def whole(handler: Handler, content: bytes, start: int | None) -> None:
    until(len(content))(handler, content, start)


def deaf(handler: Handler, content: bytes, _start: int | None) -> None:
    """Knows no ranges: always all of it."""
    whole(handler, content, None)


def silent_after(end: int) -> Answer:
    """Stays silent from the file's byte ``end`` on, until the test is over."""

    def answer(handler: Handler, content: bytes, start: int | None) -> None:
        until(end)(handler, content, start)
        handler.wfile.flush()
        handler.told.released.wait()

    return answer


def status(code: int, **headers: object) -> Answer:
    return lambda handler, _content, _start: handler.head(code, Content_Length=0, **headers)


def instead(other: bytes) -> Answer:
    """Other bytes than are wanted."""
    return lambda handler, _content, start: whole(handler, other, start)


def lengthless(other: bytes) -> Answer:
    """Does not say how much there is."""

    def answer(handler: Handler, _content: bytes, _start: int | None) -> None:
        handler.head(200)
        handler.wfile.write(other)

    return answer
