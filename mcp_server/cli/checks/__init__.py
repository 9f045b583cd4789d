"""What `flask doctor` looks at. Each check says what it found, and what to do where something is wrong.

settings       what is set                       stores   state, registry, people, clients
machine        clock, disks                      models   the model, its address, the vectors of the knowledge
transport      name, certificate and TLS         answers  what an answer means that is not ours
backups        whether there is a recent one     traces   their collector
running        the running server, from here     outside  the public address, as ServiceNow sees it; streaming, its streams
"""

from __future__ import annotations

from mcp_server.cli.checks.backups import backups
from mcp_server.cli.checks.finding import Check
from mcp_server.cli.checks.machine import clock, disks
from mcp_server.cli.checks.models import model, model_addresses, vectors
from mcp_server.cli.checks.outside import public_address
from mcp_server.cli.checks.running import server
from mcp_server.cli.checks.settings import configuration, exposed, weak_secrets
from mcp_server.cli.checks.stores import people, registry, stale_clients, state
from mcp_server.cli.checks.traces import collector

CHECKS: tuple[Check, ...] = (
    configuration, weak_secrets, exposed, state, registry, people, stale_clients, model, model_addresses, vectors, clock, disks, backups,
    collector, server, public_address,
)
