"""`workbench data`: list, get, path and verify data sets and models."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.output import JsonFlag, print_json, print_table

app = typer.Typer(
    no_args_is_help=True, help="Fetch data sets and models, checked against the manifest."
)

Names = Annotated[list[str], typer.Argument(help="Names that `workbench data list` shows.")]
SomeNames = Annotated[list[str] | None, typer.Argument(help="Names; all that are here if omitted.")]


@app.command("list")
def list_data(json: JsonFlag = False) -> None:
    """List every data set and model: what it is, its size and licence, whether it is here."""
    from workbench import datasets

    rows = [
        {
            "name": data_set.name,
            "state": datasets.state(data_set),
            "MB": round(data_set.bytes / 1e6, 1),
            "licence": data_set.licence,
            "about": data_set.about,
        }
        for data_set in datasets.load().values()
    ]
    print_json(rows) if json else print_table(rows)


@app.command()
def get(
    names: Names,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash again what is here already.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Fetch data sets from their source or from WORKBENCH_DATA_MIRROR; resumes, checks sha256."""
    from workbench import datasets, paths

    for name in names:
        datasets.find(name)  # refuse all wrong names before fetching anything
    progress = datasets.ConsoleProgress()
    fetched = {name: datasets.get(name, verify=verify, progress=progress) for name in names}
    shown = {name: [paths.shown(file) for file in files] for name, files in fetched.items()}
    if json:
        print_json(shown)
        return
    for name, files in shown.items():
        print(f"{name}: {', '.join(files)}")


@app.command()
def path(name: Annotated[str, typer.Argument(help="One name.")], json: JsonFlag = False) -> None:
    """Print where a data set's files are; fails if they are not here yet."""
    from workbench import datasets

    files = [
        datasets.path(name, file.path.rpartition("/")[2]) for file in datasets.find(name).files
    ]
    if json:
        print_json([str(file) for file in files])
        return
    for file in files:
        print(file)


@app.command()
def verify(names: SomeNames = None, json: JsonFlag = False) -> None:
    """Read and hash what is here, and compare it with the manifest."""
    from workbench import datasets
    from workbench.errors import DataError

    chosen = [datasets.find(name) for name in names or datasets.load()]
    rows = [
        {"name": data_set.name, "file": file.path, "verdict": verdict}
        for data_set in chosen
        for file, verdict in datasets.verify(data_set)
        if names or verdict != "absent"
    ]
    print_json(rows) if json else print_table(rows)
    wrong = [row["file"] for row in rows if row["verdict"] != "ok"]
    if wrong:
        raise DataError(
            f"{', '.join(wrong)}: absent or wrong\nfix: workbench data get --verify NAME"
        )
