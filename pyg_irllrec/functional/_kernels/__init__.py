"""One implementation a file, each with the signature of its eager twin."""
