"""The ``ovbench`` command."""

from ovbench.cli import classify, compare, fetch, quantize, report, suite
from ovbench.cli.app import app, main

__all__ = ["app", "classify", "compare", "fetch", "main", "quantize", "report", "suite"]
