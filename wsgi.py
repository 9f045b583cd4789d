from gevent import monkey; monkey.patch_all()
# ruff: noqa: E402, E702, I001 -- patched before anything that opens a socket is imported

import os
from pathlib import Path

from config import environment_file
from config.settings import Settings
from mcp_server.app import create_app

os.environ.update(environment_file.read(os.environ))  # noqa: TID251 -- for libraries, which read the environment themselves
app = create_app(Settings.from_environ(os.environ, env_file=Path(".env")))  # noqa: TID251 -- the environment is read here
