"""One budget and one set of decisions over all tiers."""
