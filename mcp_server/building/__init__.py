"""Where the objects of each half are made and joined: `foundations` for both, then `authorization` and `mcp`."""
