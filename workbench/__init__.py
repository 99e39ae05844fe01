"""A workbench for SSD-tiered LLM inference: a tiering library, its experiments and reports.

In a notebook start with ``from workbench import day``. See docs/structure.md for what lives where.
"""

__version__ = "0.1.0"
