"""`workbench key`: make the key that seals a folder, change it, erase a tenant.

Leaves out: how it is done (workbench/tiering/encryption).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Make, change and erase the keys that seal a store's folder."
)

KeyPath = Annotated[Path, typer.Argument(help="The key file, made for you alone (mode 0600).")]
Folder = Annotated[Path, typer.Argument(help="The folder that `generate --cache` names.")]
Key = Annotated[
    str | None, typer.Option("--key-file", help="Its key; default: WORKBENCH_KEY_FILE.")
]


@app.command()
def new(path: KeyPath) -> None:
    """Make a key file. Without it nothing that it seals can be read: keep a copy elsewhere."""
    from workbench.tiering.encryption import MasterKey

    typer.echo(f"made key {MasterKey.create(path).id.hex()}")


@app.command()
def rotate(
    folder: Folder,
    to: Annotated[str, typer.Option(help="The key file that is to open the folder from now on.")],
    key_file: Key = None,
) -> None:
    """Let another key open a folder, in place of its own; the blocks are not rewritten."""
    from workbench.tiering.encryption import demand_master_key, maintenance

    master, successor = demand_master_key(key_file), demand_master_key(to)
    maintenance.rotate(folder, master, successor)
    typer.echo(f"key {successor.id.hex()} opens the folder now, key {master.id.hex()} no more")


@app.command()
def purge(
    folder: Folder,
    tenant: Annotated[str, typer.Option(help="Whose blocks nobody is to read again.")],
    key_file: Key = None,
) -> None:
    """Erase a tenant's keys; rotate to a new key and destroy the old one to erase copies too."""
    from workbench.tiering.encryption import demand_master_key, maintenance

    maintenance.purge(folder, demand_master_key(key_file), tenant)
    typer.echo("the tenant's blocks cannot be read any more")
