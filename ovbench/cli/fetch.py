"""A model and images to benchmark with, downloaded, checked and laid out."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ovbench.cli.app import app, progress
from ovbench.errors import BadOption
from ovbench.gate import ExitCode


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="What to fetch; --list says what there is.")] = "",
    out: Annotated[Path, typer.Option(help="Folder to lay it out below.")] = Path(),
    url: Annotated[
        str, typer.Option(help="Address to fetch from, in place of the known ones; checked as they are.")
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="List what can be fetched, and from where.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was fetched, or the list, as JSON.")] = False,
) -> int:
    """Fetch a model or images by name; prints the path to give to --ov-model or --ov-images."""
    from ovbench.artifacts import default_root
    from ovbench.fetch.catalogue import ITEMS
    from ovbench.fetch.catalogue import fetch as fetch_item

    if listed:
        return _tell_list(as_json)
    if name not in ITEMS:
        raise BadOption(f"fetch {name or '(nothing)'}: give one of {', '.join(ITEMS)}")
    item = ITEMS[name]
    if url:
        item = dataclasses.replace(item, download=dataclasses.replace(item.download, addresses=(url,)))
    with progress(f"fetch {name}") as advance:
        fetched = fetch_item(item, out, default_root() / "downloads", advance)
    if fetched.was_there:
        sys.stderr.write(f"ovbench: {name} was there already: remove it to fetch it again\n")
    if as_json:
        told = {"name": name, "path": str(fetched.path), "was_there": fetched.was_there}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"{fetched.path}\n")
    return int(ExitCode.HELD)


def _tell_list(as_json: bool) -> int:
    from ovbench.fetch.catalogue import ITEMS
    from ovbench.report.fetch import items_text

    if as_json:
        told = [
            {"name": item.name, "about": item.about, **dataclasses.asdict(item.download)} for item in ITEMS.values()
        ]
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(items_text(list(ITEMS.values()), sys.stdout.isatty()))
    return int(ExitCode.HELD)
