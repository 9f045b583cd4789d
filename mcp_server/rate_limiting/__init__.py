"""How many requests from whom: the limits, and a count for the time when no shared counter can be asked."""
