from tests.engine import ollama, tiny_engine, tiny_engine_folder, tiny_weights
from tests.running import gateway

__all__ = ["gateway", "ollama", "tiny_engine", "tiny_engine_folder", "tiny_weights"]
