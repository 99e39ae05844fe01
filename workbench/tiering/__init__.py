"""The tiering stack: one module or package per system; it knows nothing of runs or reports."""
