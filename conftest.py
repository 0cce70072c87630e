"""Wiring only: the suite's fixtures. Options and hooks are the installed plugin's, ``ovbench.plugin``."""

pytest_plugins = (
    "fixtures.matrix",
    "fixtures.model",
    "fixtures.measured",
    "fixtures.judged",
    "fixtures.compared",
    "fixtures.referenced",
    "fixtures.piped",
)
