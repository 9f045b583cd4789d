from gevent import monkey; monkey.patch_all()
# ruff: noqa: E402, E702, I001 -- patched before anything that opens a socket, or reads the time, is imported

import os
import time
from pathlib import Path

AHEAD = Path("ahead")
machine_time = time.time
time.time = lambda: machine_time() + AHEAD.stat().st_mtime  # whoever sets the time of that file lets time pass here

from config.settings import Settings
from mcp_server.app import create_app

settings = Settings.from_environ(os.environ, env_file=Path(".env"))
if settings.production:
    raise SystemExit("A clock that the tests set is not for production.")
app = create_app(settings)
