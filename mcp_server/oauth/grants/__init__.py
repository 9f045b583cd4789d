"""One file per grant: how a client comes by tokens. What the server offers is the tuple in `app.py`."""
