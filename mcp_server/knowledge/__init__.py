"""Articles, their index and their search. The place is kept; nothing is in it yet."""
