"""The authorization server: OAuth 2.1 rules on Authlib's framework-neutral core.

Owns clients, grants, tokens and their revocation. Leaves HTTP to `web/`, storage to `storage/`, and knows nothing of MCP.
"""
