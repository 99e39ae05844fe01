"""A workbench for SSD-tiered LLM inference: a tiering library, its experiments and reports.

In a notebook start with ``from workbench import day``. See docs/structure.md for what lives where.
"""

import os

__version__ = "0.1.0"

if os.environ.get("WORKBENCH_PHASES"):
    # Switches on from here, so that what a process used is counted from its start.
    from workbench import phases as phases
