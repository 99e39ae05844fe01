"""Charts, tables and self-contained HTML pages made from the registry."""
