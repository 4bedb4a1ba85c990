r"""The command line, ``pyg-irllrec``: one module per command in :obj:`commands`, and
the code that commands share."""
