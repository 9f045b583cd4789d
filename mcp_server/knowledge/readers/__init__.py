"""Files and folders → documents. One file for each form; what cannot be read is told by its place, and the rest goes on."""
