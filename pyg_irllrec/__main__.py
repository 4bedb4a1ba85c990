r"""The command ``pyg-irllrec``, as ``python -m pyg_irllrec``."""

from pyg_irllrec.cli.main import main

if __name__ == '__main__':
    main()
