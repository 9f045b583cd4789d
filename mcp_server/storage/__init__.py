"""Keeps what the server remembers, behind the promises of `oauth.ports`. The only code that knows SQLite, Redis and SQLAlchemy.

Hot state (codes, tokens, the copy of the revocations, hits): `sqlite.py` or `redis.py`, chosen in `open.py`.
Durable state (clients, users, keys, the ledger of revocations): `registry.py`, its schema in `migrations/`.
What is expired, who won and what was revoked is decided here; what follows from it is decided in `oauth/`.
"""
