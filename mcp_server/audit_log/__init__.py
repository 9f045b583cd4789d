"""The audit log as a file in which nothing can be changed, removed or moved unnoticed."""
