from tests.engine import ollama, tiny_engine, tiny_engine_folder, tiny_weights

__all__ = ["ollama", "tiny_engine", "tiny_engine_folder", "tiny_weights"]
