from gevent import monkey; monkey.patch_all()
# ruff: noqa: E402, E702, I001 -- patched before anything that opens a socket is imported

import os
from pathlib import Path

from config.settings import Settings
from mcp_server.app import create_app
from tests.conformance.asking_tools import ASKING_TOOLS
from tests.conformance.tools import TOOLS, TriggersChange

settings = Settings.from_environ(os.environ, env_file=Path(".env"))
if settings.production:
    raise SystemExit("The fixtures of the conformance suite are not for production.")
triggers = [TriggersChange("tool"), TriggersChange("prompt")]
app = create_app(settings, more_tools=(*TOOLS, *ASKING_TOOLS, *triggers))
for trigger in triggers:
    trigger.changes = app.extensions["services"].mcp_server.changes
