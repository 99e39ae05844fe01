"""The network tier and its outages; loading from far away against computing again."""
