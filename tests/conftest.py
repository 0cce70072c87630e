"""What all tests share: hypothesis' settings, and a tiny real model, read from a file as any other."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from ovbench.worker import import_openvino

CommandLine = Callable[..., tuple[Any, str, str]]

LOOKS = ("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES")

# No absolute time is asserted: a busy machine is no reason for a test to fail.
# Half of hypothesis' own examples: the suite has four minutes, and every run draws others.
settings.register_profile("ovbench", deadline=None, max_examples=50)
settings.register_profile("same-examples", settings.get_profile("ovbench"), derandomize=True)
settings.load_profile("ovbench")


# A shell's background command ignores Ctrl-C, and so would every process that a test starts and interrupts: such a test
# would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _plain() -> Iterator[None]:
    """What says how pytest's output shall look does not say it of what the tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in LOOKS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 3x3 convolution (8 channels) with ReLU and a 10-class head on an f32 input ``image`` [1, 3, 16, 16]."""
    openvino = import_openvino()
    from openvino import opset13 as op

    random = np.random.default_rng(0)
    image = op.parameter([1, 3, 16, 16], openvino.Type.f32, name="image")
    image.output(0).set_names({"image"})
    kernel = random.normal(size=(8, 3, 3, 3)).astype(np.float32)
    features = op.relu(op.convolution(image, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
    pooled = op.reduce_mean(features, np.array([2, 3]))
    logits = op.matmul(pooled, random.normal(size=(8, 10)).astype(np.float32), False, False)
    path = tmp_path_factory.mktemp("tiny") / "tiny.xml"
    openvino.save_model(openvino.Model([logits], [image], "tiny"), path, compress_to_fp16=False)
    return path


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """Run a command line of ``ovbench`` in this process: exit code, what it printed, what it said on stderr."""
    from ovbench import cli

    def run(*arguments: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["ovbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        return end.value.code, out, err

    return run
