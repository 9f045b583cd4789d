from gevent import monkey; monkey.patch_all()
# ruff: noqa: E402, E702, I001 -- patched before anything that opens a socket is imported

import os
from pathlib import Path

from config.settings import Settings
from mcp_server.app import More, create_app
from tests.conformance.asking_tools import ASKING_TOOLS
from tests.conformance.prompts import PROMPTS
from tests.conformance.resources import RESOURCES
from tests.conformance.task_tools import task_tools
from tests.conformance.tools import TOOLS, TriggersChange

settings = Settings.from_environ(os.environ, env_file=Path(".env"))
if settings.production:
    raise SystemExit("The fixtures of the conformance suite are not for production.")
triggers = [TriggersChange("tool"), TriggersChange("prompt")]
app = create_app(settings, more=More(tools=(*TOOLS, *ASKING_TOOLS, *task_tools(), *triggers), prompts=PROMPTS, resources=[RESOURCES]))
for trigger in triggers:
    trigger.changes = app.extensions["services"].mcp_server.changes
