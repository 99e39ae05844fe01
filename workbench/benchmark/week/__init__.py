"""Week 1: its targets, its bottlenecks and its review."""
