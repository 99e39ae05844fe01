"""Ceilings, paired measurement, statistics, and one module per experiment family."""
