"""Blocks made smaller: bytes, speed and quality in one table."""
