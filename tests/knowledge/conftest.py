from tests.knowledge_base import files, library, vector_postgres

__all__ = ["files", "library", "vector_postgres"]
