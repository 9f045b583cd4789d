"""Flask: the only code that knows HTTP. One blueprint a file; what they share is `services()`.

Views take a request apart, call one thing, and put the answer together. They decide nothing about OAuth or MCP.
"""
