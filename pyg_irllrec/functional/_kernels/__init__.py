r"""One implementation per file, each with the signature of its eager version."""
