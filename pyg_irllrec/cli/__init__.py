r"""The command line, ``pyg-irllrec``: one module per command in :obj:`commands`, and
what they share."""
