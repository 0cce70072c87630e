"""The ``ovbench`` command."""

from ovbench.cli import classify, compare, env, fetch, quantize, report, suite, tune
from ovbench.cli.app import app, main

__all__ = ["app", "classify", "compare", "env", "fetch", "main", "quantize", "report", "suite", "tune"]
