"""What an operator decides: settings, logging, and the data files beside them. Knows nothing of the server."""
