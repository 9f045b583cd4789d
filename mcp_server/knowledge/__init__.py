"""Articles, incidents and catalogue items: read from exports or an instance, made into an index, and searched.

What a search answers and who may read what: `ports.py`, `access.py`. How an index is made: `building.py`. Where one is kept: `storage/knowledge_*`.
"""
