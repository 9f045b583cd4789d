"""Requests to addresses that somebody else chose. Everything that follows a URL from outside goes through `safe_fetch`."""
