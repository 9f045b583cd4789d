"""Backups: one encrypted file with all that has to outlive the machine, and nothing that opens anything without the server's secrets.

    sealed file (container.py)   magic, version, salt, key check │ chunk │ chunk │ … │ last chunk
    in it (contents.py)          one JSON line each: the header, [kind, record] …, the end with the counts

In it are clients, users, initial access tokens, signing keys (as they are wrapped), imports, the revocations in force, grants and refresh tokens.
Codes in flight, sign-in attempts, limits, MCP sessions and tasks are not: they last minutes. Nor is any secret of the configuration.
"""
