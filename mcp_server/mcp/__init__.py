"""MCP over JSON-RPC: messages in, messages out.

Owns protocol revisions, methods and the definition of a tool. Knows neither HTTP nor OAuth: who calls comes as a Principal.
"""
