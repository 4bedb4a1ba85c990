r"""One module per command. To add one, write ``commands/NAME.py`` with

.. code-block:: python

    EXAMPLES = '''pyg-irllrec similar runs/books/bundle --item 0195153448'''

    def similar(
        bundle: BundleArgument,
        item: Annotated[Optional[str], Option(help='its id')] = None,
        k: K = 10,
        as_json: Json = False,
        quiet: Quiet = False,
        config: Config = None,
    ) -> None:
        r'''The items that are most like one.'''  # The help.
        output = Output(as_json, quiet)
        found = open_bundle(bundle).similar_items(item, k)
        output.result({'item': item, 'similar': [...]}, lines_of(found))

    command = Command(similar, EXAMPLES, {"'k'": '--k', "'item'": '--item'})

and add ``similar.command`` to :obj:`pyg_irllrec.cli.app.COMMANDS`. Options that several
commands have come from :mod:`pyg_irllrec.cli.options`: one name, one meaning. A wrong
combination of options raises a :class:`ValueError`, which names them as they are typed
(``--rating``); :func:`~pyg_irllrec.cli.run_command.run_command` makes one line and the
exit code 2 of it, as of any other error of a user. Errors of the package name
arguments: the third field of a command has the options for them. What is printed goes
through :class:`~pyg_irllrec.cli.output.Output`. Bundles are read by
:func:`~pyg_irllrec.cli.open_bundle.open_bundle`. Extras beyond ``cli`` are imported
inside the function."""
