"""The ``ovbench`` command."""

from ovbench.cli import compare, suite
from ovbench.cli.app import app, main

__all__ = ["app", "compare", "main", "suite"]
