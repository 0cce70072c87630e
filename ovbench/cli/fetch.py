"""A model and images to benchmark with, downloaded, checked and laid out."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from ovbench.cli.app import AsJson, app, progress
from ovbench.errors import BadOption


@app.command(epilog="Example: ovbench fetch imagenette2-320")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to fetch; --list says what there is.")] = "",
    out: Annotated[Path, typer.Option(help="Folder to lay it out below.")] = Path(),
    url: Annotated[
        str, typer.Option(help="Address to fetch from, in place of the known ones; checked as they are.")
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="List what can be fetched, and from where.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a model or images by name.

    Prints the path to give to --ov-model or --ov-images.
    """
    from ovbench.artifacts import default_root
    from ovbench.fetch.catalogue import ITEMS
    from ovbench.fetch.catalogue import fetch as fetch_item
    from ovbench.report.fetch import items_fields, items_text
    from ovbench.report.objects import object_text

    if listed:
        items = list(ITEMS.values())
        told = object_text(items_fields(items)) if as_json else items_text(items, sys.stdout.isatty())
        sys.stdout.write(told)
        return
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
        sys.stdout.write(object_text({"name": name, "path": fetched.path, "was_there": fetched.was_there}))
    else:
        sys.stdout.write(f"{fetched.path}\n")
