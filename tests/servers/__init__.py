"""Servers that tests bring along: PostgreSQL, Redis, a browser. Found here, out of a wheel, or missing."""
