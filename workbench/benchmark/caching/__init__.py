"""Which blocks stay: traces, eviction, tiers and prefetch, simulated and with real bytes."""
