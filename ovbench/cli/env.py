"""Where a benchmark would run, and what would disturb it there."""

from __future__ import annotations

import sys

from ovbench.cli.app import AsJson, app


@app.command(epilog="Example: ovbench env --json > env.json")
def env(as_json: AsJson = False) -> None:
    """Show this machine, and what would disturb a benchmark.

    OpenVINO, CPU, cores and memory; a remedy for each disturbance.
    """
    from ovbench.environment import disturbances, gather
    from ovbench.report.environment import environment_fields, environment_text
    from ovbench.report.objects import object_text

    facts = gather()
    found = disturbances(facts)
    if as_json:
        sys.stdout.write(object_text(environment_fields(facts, found)))
    else:
        sys.stdout.write(environment_text(facts, found, sys.stdout.isatty()))
