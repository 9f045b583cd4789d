from tests.gateway_fixtures import (
    back_end,
    browser,
    client,
    clock,
    data_folder,
    flow,
    gateway,
    log,
    migrated_file,
    open_gateway,
    public_client,
    registration,
)

__all__ = ["back_end", "browser", "client", "clock", "data_folder", "flow", "gateway", "log", "migrated_file", "open_gateway", "public_client",
           "registration"]
