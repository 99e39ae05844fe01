"""Sample a process from outside, name what was seen, count events; no runs and no pages."""
