"""Parameters of the days, their execution through papermill, and the registry of what came out."""
