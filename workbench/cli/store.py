"""`workbench store`: say what is in a folder of blocks, and read all of it to see if it is sound.

Leaves out: how it is done (workbench/tiering/ssd_tier).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from workbench.cli.key import Folder, Key
from workbench.cli.output import JsonFlag, print_json

if TYPE_CHECKING:
    from workbench.tiering.ssd_tier import SsdTier

app = typer.Typer(no_args_is_help=True, help="Look into a folder of blocks, and check it.")


@app.command()
def show(folder: Folder, key_file: Key = None, json: JsonFlag = False) -> None:
    """Say how many blocks a folder holds, how full it is, and how its disk is read."""
    with _opened(folder, key_file) as tier:
        stats = tier.stats()
    shown = {
        "blocks": stats.blocks,
        "blocks_unread": stats.blocks_unread,
        "live_bytes": stats.live_bytes,
        "disk_bytes": stats.disk_bytes,
        "segments": stats.segments_total,
        "segments_free": stats.segments_free,
        "segments_bad": stats.segments_bad,
        "engine": stats.engine.kind,
        "direct": stats.engine.direct,
    }
    if json:
        print_json(shown)
        return
    for name, value in shown.items():
        typer.echo(f"{name:<14} {value:,}" if type(value) is int else f"{name:<14} {value}")


@app.command()
def check(folder: Folder, key_file: Key = None, json: JsonFlag = False) -> None:
    """Read every block and verify it. Exit code 3 if one cannot be had: it is a miss, no error."""
    from workbench.benchmark.progress import meter

    with _opened(folder, key_file) as tier, meter("blocks", tier.stats().blocks) as report:
        found = tier.check(report)
    if json:
        print_json({"blocks": found.blocks, "bad": found.bad_blocks, "problems": found.problems})
    else:
        for problem in found.problems:
            typer.echo(problem)
        typer.echo(f"{found.blocks - found.bad_blocks:,} of {found.blocks:,} blocks are sound")
    if not found.sound:
        raise typer.Exit(3)


def _opened(folder: Path, key_file: str | None) -> SsdTier:
    """Open the store of a folder as it was made, with the key that is named, if one is."""
    from workbench.tiering.encryption import StoreSealing, find_master_key
    from workbench.tiering.ssd_tier import SsdTier, found_config

    config, master = found_config(folder), find_master_key(key_file)
    sealing = None if master is None else StoreSealing(master)
    return SsdTier.open(folder, config, sealing=sealing)
