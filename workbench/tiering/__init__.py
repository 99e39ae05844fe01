"""The tiering stack: one module or package per system. Knows nothing of runs, reports or notebooks."""
