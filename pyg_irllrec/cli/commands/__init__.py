r"""One module per command. To add a command, write ``commands/NAME.py``:

.. code-block:: python

    EXAMPLES = '''pyg-irllrec similar runs/books/bundle --item 0195153448'''

    def similar(
        bundle: BundleArgument,
        item: Annotated[Optional[str], Option(metavar='ID', help='An item id.')] = None,
        k: K = 10,
        as_json: Json = False,
        quiet: Quiet = False,
        config: Config = None,
    ) -> None:
        r'''Find the items most similar to an item.'''  # The help.
        output = Output(as_json, quiet)
        found = open_bundle(bundle).similar_items(item, k)
        output.result({'item': item, 'similar': [...]}, lines_of(found))

    command = Command(similar, EXAMPLES, {"'k'": '--k', "'item'": '--item'})

Then add ``similar.command`` to :obj:`pyg_irllrec.cli.app.COMMANDS`.

- Take options that several commands share from :mod:`pyg_irllrec.cli.options`, so that
  a name has one meaning.
- If options do not fit together, raise a :class:`ValueError` that names them as the
  user types them (``--rating``). :func:`~pyg_irllrec.cli.run_command.run_command`
  prints user errors as one line and exits with code 2.
- Errors of the package name arguments. The third field of
  :class:`~pyg_irllrec.cli.command.Command` maps these to options.
- Print through :class:`~pyg_irllrec.cli.output.Output`, and read bundles with
  :func:`~pyg_irllrec.cli.open_bundle.open_bundle`.
- Import extras other than ``cli`` inside the function.
"""
