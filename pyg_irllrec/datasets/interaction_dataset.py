from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from pyg_irllrec.datasets._ingest.check_options import check_options
from pyg_irllrec.datasets._ingest.file_kind import file_kind, file_separator
from pyg_irllrec.datasets._ingest.stored_dataset import StoredDataset
from pyg_irllrec.typing import DataTransform, PathLike
from pyg_irllrec.utils.argument_checks import as_names, is_iterable
from pyg_irllrec.utils.optional import import_optional


class InteractionDataset(StoredDataset):
    r"""Your own interactions and texts: read once from CSV, Parquet or JSON lines, from
    pandas, polars, Arrow or a stream, written to :obj:`root/processed`, and
    memory-mapped from there.

    .. code-block:: python

        dataset = InteractionDataset.from_csv(
            'ratings.csv', 'my_data', user='user_id', item='asin', rating='stars',
            timestamp='when', items='products.csv', item_text=('title', 'brand'),
        )
        dataset = InteractionDataset('my_data')  # from now on
        nodes = dataset.nodes_of('item', ['B00AE1', 'B00BX2'])
        list(dataset[0]['item'].text[nodes])

    The :class:`~torch_geometric.data.HeteroData` has

    - :obj:`data['user', 'rates', 'item']` with :obj:`edge_index` of shape
      :math:`(2, |\mathcal{E}|)`, sorted by user, then item, and, if their columns are
      given, :obj:`rating` (:obj:`float32`) and :obj:`time` (:obj:`int64`, seconds),
      both of shape :math:`(|\mathcal{E}|)`;
    - :obj:`data['user'].id` and :obj:`data['item'].id`, the original ids: a tensor
      of integers, or a list of strings;
    - :obj:`data['user'].text` and :obj:`data['item'].text`, if texts are given: one
      text per node, :obj:`""` if it is missing, read from disk on access
      (:class:`~pyg_irllrec.utils.TextArray`);
    - :obj:`data['item'].title`, in the same form, if its column is given.

    PyG's subgraphs and neighbour samplers select only tensors: remove :obj:`text` and
    :obj:`title`, and :obj:`id` if it is a list, before sampling, and join them again
    by :obj:`n_id`. The transforms of this package select all attributes.

    **Nodes** are numbered in the order of their sorted ids (integers by value,
    strings by code point). The node of an id depends only on the set of ids, not on
    the order of rows or files. Only ids that occur in interactions become nodes.

    **Ids** are integers if all ids of a side are, however they are written: :obj:`7`,
    :obj:`"7"`, :obj:`7.0` and :obj:`"7.0"` are one id. If one of them is not an
    integer (such as :obj:`"007"`), all are strings; :obj:`"7.0"` still equals
    :obj:`"7"`. Surrounding blanks are removed, and composed and decomposed letters are
    the same. An id that is null, empty, or a word such as :obj:`"NULL"`, :obj:`"NaN"`
    or :obj:`"N/A"` is missing, and raises an error.

    **Memory** has to hold the distinct ids and a few million rows, not all rows: tables
    are read in batches, and rows are sorted in unnamed temporary files beside
    :obj:`root`, which take about 70 bytes per row. The graph itself is memory-mapped.

    **Texts** are joined by id, never by the order of rows. Several columns are joined
    into one text by :obj:`". "`, as in :obj:`"Toy Story (1995). Adventure"`.
    Surrounding blanks are removed, null and NaN are left out, lists are joined by
    :obj:`", "`, numbers and similar values are converted by :class:`str`, and records
    are refused. Texts of ids without interactions are ignored, and counted in
    :attr:`counts`.

    **Bad input** raises an error that names the file, line and column. Lines of CSV
    files are counted from 1, with the header, but without empty lines and line breaks
    inside cells; rows of Parquet files and tables in memory are counted from 0.

    Args:
        root (str or Path): The folder that :meth:`from_csv` or a similar method wrote.
        transform (callable, optional): A transform that is applied on every access.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If there is no dataset in :obj:`root`.
        ValueError: If the dataset in :obj:`root` is incomplete.
        ImportError: If pyarrow is not installed.

    Example:
        >>> from pyg_irllrec.datasets import InteractionDataset
        >>> frame = {
        ...     'user': ['ann', 'ann', 'bob'], 'item': [20, 7, 7], 'stars': [5, 3, 4]
        ... }
        >>> dataset = InteractionDataset.from_frame(
        ...     frame, 'my_data', user='user', item='item', rating='stars'
        ... )
        >>> InteractionDataset('my_data')
        InteractionDataset(num_users=2, num_items=2, num_interactions=3)
        >>> dataset.nodes_of('item', [20, 7])
        tensor([1, 0])
        >>> dataset[0]['rates'].rating
        tensor([3., 5., 4.])
    """

    def __init__(
        self, root: PathLike, *, transform: Optional[DataTransform] = None
    ) -> None:
        import_optional('pyarrow', type(self).__name__, 'data')
        check_options(root, transform, force_reload=False)
        super().__init__(str(root), transform)
        self._open(Path(self.processed_dir))

    @classmethod
    def from_csv(
        cls,
        path: Union[PathLike, Sequence[PathLike]],
        root: PathLike,
        *,
        user: str,
        item: str,
        rating: Optional[str] = None,
        timestamp: Optional[str] = None,
        time_unit: str = 'auto',
        sep: Optional[str] = None,
        encoding: str = 'utf-8',
        quote: Optional[str] = '"',
        column_names: Optional[Sequence[str]] = None,
        users: Union[PathLike, Any, None] = None,
        user_text: Union[str, Sequence[str], None] = None,
        user_id: Optional[str] = None,
        items: Union[PathLike, Any, None] = None,
        item_text: Union[str, Sequence[str], None] = None,
        item_id: Optional[str] = None,
        item_title: Optional[str] = None,
        duplicates: str = 'last',
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> InteractionDataset:
        r"""Read CSV files in batches, and write :obj:`root/processed`. If the dataset
        there was built from the same files with the same options, they are not read
        again.

        Args:
            path (str, Path or list): One or several files, which may be compressed
                (:obj:`.gz`, :obj:`.bz2`, :obj:`.zst`).
            root (str or Path): The folder to write to.
            user (str): The column of user ids.
            item (str): The column of item ids.
            rating (str, optional): The column of ratings, or of other weights such as
                play counts: finite numbers. (default: :obj:`None`)
            timestamp (str, optional): The column of times: numbers, or ISO 8601 dates,
                in UTC unless they have a time zone. (default: :obj:`None`)
            time_unit (str): The unit of numeric times: :obj:`"s"`, :obj:`"ms"`,
                :obj:`"us"`, :obj:`"ns"`, or :obj:`"auto"`: the unit in which all of
                them are in the years 1973 to 2286, else seconds. A warning names an
                inferred unit other than seconds. (default: :obj:`"auto"`)
            sep (str, optional): The separator of columns. (default: :obj:`None`, a tab
                in files named :obj:`.tsv`, otherwise a comma)
            encoding (str): The encoding of the files. (default: :obj:`"utf-8"`)
            quote (str, optional): The quote around cells that contain separators or
                line breaks; :obj:`None` if the files use no quotes.
                (default: :obj:`'"'`)
            column_names (sequence of str, optional): The names of the columns, for
                interaction files without a header; a file with this header is refused.
                (default: :obj:`None`)
            users (str, Path or table, optional): The table of user texts: a Parquet
                file (:obj:`.parquet`), JSON lines (:obj:`.jsonl`), a CSV file with a
                header and the same separator, encoding and quote, or a table in memory,
                as in :meth:`from_frame`. (default: :obj:`None`)
            user_text (str or sequence of str, optional): The columns of :obj:`users`
                that form the text. (default: :obj:`None`)
            user_id (str, optional): The column of :obj:`users` with ids.
                (default: :obj:`None`, the name in :obj:`user`)
            items (str, Path or table, optional): The table of item texts, in one of
                these forms. (default: :obj:`None`)
            item_text (str or sequence of str, optional): The columns of :obj:`items`
                that form the text. (default: :obj:`None`)
            item_id (str, optional): The column of :obj:`items` with ids.
                (default: :obj:`None`, the name in :obj:`item`)
            item_title (str, optional): The column of :obj:`items` with titles, to show
                to people. (default: :obj:`None`)
            duplicates (str): How to treat repeated pairs of user and item:
                :obj:`"last"` or :obj:`"first"` keeps the rating and time of one row,
                by time, then by the order of rows; :obj:`"sum"` sums their ratings and
                keeps the last time; :obj:`"error"` raises. (default: :obj:`"last"`)
            transform (callable, optional): A transform that is applied on every
                access. (default: :obj:`None`)
            force_reload (bool): Whether to read the files again, and replace a dataset
                that was built from other files or options. (default: :obj:`False`)

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a column is missing or named for both users and items, a
                value cannot be read, a table of texts does not match, or :obj:`root`
                holds other data.
            ImportError: If pyarrow is not installed.
            OSError: If the disk is full. No partial files remain.
        """
        import_optional('pyarrow', cls.__name__, 'data')
        check_options(root, transform, force_reload)
        from pyg_irllrec.datasets._ingest.csv_table import CsvTable
        from pyg_irllrec.datasets._ingest.input_tables import InputTables

        names = None
        if column_names is not None:
            names = list(as_names('column_names', column_names))
        tables = InputTables(
            root,
            user,
            item,
            rating,
            timestamp,
            duplicates,
            time_unit,
            sep,
            encoding,
            quote,
        )
        files = _as_paths(path)
        for file in files:
            tables.add(CsvTable(file, sep, encoding, quote, names))
        tables.add_texts('user', users, user_id, user_text)
        tables.add_texts('item', items, item_id, item_text, item_title)
        options = {
            'kind': 'csv',
            'sep': _separators([*files, users, items]) if sep is None else sep,
            'encoding': encoding,
            'quote': quote,
            'column_names': names,
        }
        tables.build(options, force_reload)
        return cls(root, transform=transform)

    @classmethod
    def from_parquet(
        cls,
        path: Union[PathLike, Sequence[PathLike]],
        root: PathLike,
        *,
        user: str,
        item: str,
        rating: Optional[str] = None,
        timestamp: Optional[str] = None,
        time_unit: str = 'auto',
        users: Union[PathLike, Any, None] = None,
        user_text: Union[str, Sequence[str], None] = None,
        user_id: Optional[str] = None,
        items: Union[PathLike, Any, None] = None,
        item_text: Union[str, Sequence[str], None] = None,
        item_id: Optional[str] = None,
        item_title: Optional[str] = None,
        duplicates: str = 'last',
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> InteractionDataset:
        r"""Read Parquet files in batches, and write :obj:`root/processed`. Of a folder,
        all Parquet files are read, as Spark, Dask or polars write them; in Hive's
        layout (:obj:`day=1/0.parquet`), :obj:`day` is a column, too. Times may also be
        timestamps or dates. For the arguments and errors see :meth:`from_csv`."""
        import_optional('pyarrow', cls.__name__, 'data')
        check_options(root, transform, force_reload)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables
        from pyg_irllrec.datasets._ingest.open_table import open_parquet

        tables = InputTables(root, user, item, rating, timestamp, duplicates, time_unit)
        for file in _as_paths(path):
            tables.add(open_parquet(file))
        tables.add_texts('user', users, user_id, user_text)
        tables.add_texts('item', items, item_id, item_text, item_title)
        tables.build({'kind': 'parquet'}, force_reload)
        return cls(root, transform=transform)

    @classmethod
    def from_json_lines(
        cls,
        path: Union[PathLike, Sequence[PathLike]],
        root: PathLike,
        *,
        user: str,
        item: str,
        rating: Optional[str] = None,
        timestamp: Optional[str] = None,
        time_unit: str = 'auto',
        encoding: str = 'utf-8',
        users: Union[PathLike, Any, None] = None,
        user_text: Union[str, Sequence[str], None] = None,
        user_id: Optional[str] = None,
        items: Union[PathLike, Any, None] = None,
        item_text: Union[str, Sequence[str], None] = None,
        item_id: Optional[str] = None,
        item_title: Optional[str] = None,
        duplicates: str = 'last',
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> InteractionDataset:
        r"""Read files with one JSON object per line, which may be compressed, in
        batches, and write :obj:`root/processed`. A field that is absent from a line is
        missing. For the arguments and errors see :meth:`from_csv`."""
        import_optional('pyarrow', cls.__name__, 'data')
        check_options(root, transform, force_reload)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables
        from pyg_irllrec.datasets._ingest.json_lines_table import JsonLinesTable

        tables = InputTables(
            root,
            user,
            item,
            rating,
            timestamp,
            duplicates,
            time_unit,
            encoding=encoding,
        )
        for file in _as_paths(path):
            tables.add(JsonLinesTable(file, encoding))
        tables.add_texts('user', users, user_id, user_text)
        tables.add_texts('item', items, item_id, item_text, item_title)
        tables.build({'kind': 'json_lines', 'encoding': encoding}, force_reload)
        return cls(root, transform=transform)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        root: PathLike,
        *,
        user: str,
        item: str,
        rating: Optional[str] = None,
        timestamp: Optional[str] = None,
        time_unit: str = 'auto',
        users: Union[PathLike, Any, None] = None,
        user_text: Union[str, Sequence[str], None] = None,
        user_id: Optional[str] = None,
        items: Union[PathLike, Any, None] = None,
        item_text: Union[str, Sequence[str], None] = None,
        item_id: Optional[str] = None,
        item_title: Optional[str] = None,
        duplicates: str = 'last',
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> InteractionDataset:
        r"""Read a table in memory or a stream, and write :obj:`root/processed`. A table
        is a pandas, polars or Arrow table, or a mapping from names to columns, such as
        a dictionary of arrays; an index is ignored. A stream is a polars lazy frame, a
        pyarrow dataset or :class:`~pyarrow.RecordBatchReader`, a DuckDB relation, a Ray
        dataset, or any other object with Arrow's C stream. It is read once, batch by
        batch, into an unnamed temporary file beside :obj:`root`; if it fails half-way,
        nothing is written. For the arguments and errors see :meth:`from_parquet`."""
        import_optional('pyarrow', cls.__name__, 'data')
        check_options(root, transform, force_reload)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables

        tables = InputTables(root, user, item, rating, timestamp, duplicates, time_unit)
        tables.add_frame(frame)
        tables.add_texts('user', users, user_id, user_text)
        tables.add_texts('item', items, item_id, item_text, item_title)
        tables.build({'kind': 'frame'}, force_reload)
        return cls(root, transform=transform)


def _separators(tables: Sequence[Any]) -> str:
    r"""The different separators of the CSV files among tables, by their names."""
    paths = [each for each in tables if isinstance(each, (str, os.PathLike))]
    files = [each for each in paths if file_kind(each) == 'csv']
    return ''.join(sorted(set(map(file_separator, files))))


def _as_paths(path: Union[PathLike, Sequence[PathLike]]) -> list[Path]:
    paths: list[Any] = list(path) if is_iterable(path) else [path]
    for each in paths:
        if not isinstance(each, (str, os.PathLike)):
            raise ValueError(f"'path' must be the path of a file, got {each!r}")
    if not paths:
        raise ValueError("'path' must name at least one file, got none")
    return [Path(each) for each in paths]
