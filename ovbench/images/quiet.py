"""OpenCV's codecs without what they print: libjpeg and libpng write about a damaged file to C's error stream."""

from __future__ import annotations

import ctypes
import os
import threading

import cv2


class _Silence:
    """While any thread is inside, C's ``stderr`` is a stream to nowhere; what Python writes is not touched.

    Hiding the file descriptor would swallow other threads' lines and progress bars as well. Where the C library has no
    symbol ``stderr`` (macOS, Windows) the codecs are heard: there is nothing else that they would let us set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        # OpenCV's own log has its own switch, elsewhere in 5 than in 4.
        set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_log_level(0)
        try:
            library = ctypes.CDLL(None)
            self._stream = ctypes.c_void_p.in_dll(library, "stderr")
        except (OSError, TypeError, ValueError):
            self._stream = ctypes.c_void_p()
            self._nowhere = None
        else:
            library.fopen.restype = ctypes.c_void_p
            self._nowhere = library.fopen(os.devnull.encode(), b"w")
        self._heard = self._stream.value

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1 and self._nowhere is not None:
                self._heard, self._stream.value = self._stream.value, self._nowhere

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._nowhere is not None:
                self._stream.value = self._heard


SILENCE = _Silence()
"""``with SILENCE:`` around a call of a codec; for any number of threads at a time."""
