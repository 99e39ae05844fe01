"""Let ``python -m workbench`` be the `workbench` command, in this interpreter."""

from workbench.cli import main

main()
