"""The operator's commands: one group a file, and what they share in `command.py` and `output.py`.

They use the built objects as the views do. Who joins them with the application: `mcp_server/command_line.py`.
"""
