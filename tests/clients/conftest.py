from tests.running import gateway

__all__ = ["gateway"]
