"""The language model, whichever it is: one file per back end, one set of errors, one gate in front of them.

Knows nothing of MCP or HTTP towards our callers, and gives the model no tools.
"""
