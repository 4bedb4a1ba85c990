from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from pyg_irllrec.datasets._ingest.check_options import check_options
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
        dataset = InteractionDataset('my_data')  # from then on
        nodes = dataset.nodes_of('item', ['B00AE1', 'B00BX2'])
        list(dataset[0]['item'].text[nodes])

    The :class:`~torch_geometric.data.HeteroData` has

    - :obj:`data['user', 'rates', 'item']` with :obj:`edge_index` of shape
      :math:`(2, |\mathcal{E}|)`, sorted by user, then item, and, where their columns
      were named, :obj:`rating` (:obj:`float32`) and :obj:`time` (:obj:`int64`,
      seconds), both of shape :math:`(|\mathcal{E}|)`;
    - :obj:`data['user'].id` and :obj:`data['item'].id`, the original ids: a tensor
      of integers, or a list of strings;
    - :obj:`data['user'].text` and :obj:`data['item'].text`, where texts were given:
      one text per node, :obj:`""` where it is missing, read from disk at access
      (:class:`~pyg_irllrec.utils.TextArray`);
    - :obj:`data['item'].title`, likewise, where their column was named.

    PyG's subgraphs and neighbour samplers select only tensors: remove :obj:`text` and
    :obj:`title`, and :obj:`id` where it is a list, before sampling, and join them again
    by :obj:`n_id`. The transforms of this package select all attributes.

    **Nodes** are numbered in the order of their sorted ids (integers by value,
    strings by code point). The node of an id depends only on the set of ids, not on
    the order of rows or files. Only ids that occur in interactions become nodes.

    **Ids** are integers where all of a side are, however they are typed: :obj:`7`,
    :obj:`"7"`, :obj:`7.0` and :obj:`"7.0"` are one id. Otherwise they are strings
    (:obj:`"007"` is one), of which :obj:`"7.0"` is still :obj:`"7"`. Blanks at
    the ends are removed, and composed and decomposed letters are the same. An id is
    missing where it is null, empty, or a word such as :obj:`"NULL"`, :obj:`"NaN"` or
    :obj:`"N/A"`; that is an error.

    **Memory** has to hold the distinct ids and some millions of rows, not all of them:
    tables are read in batches, and rows are sorted in temporary files beside
    :obj:`root`, which have no names and take about 70 bytes per row. The graph itself
    is memory-mapped.

    **Texts** are joined by id, never by the order of rows. Several columns are joined
    to one text by :obj:`". "`, as in :obj:`"Toy Story (1995). Adventure"`. Surrounding
    blanks are stripped, null and NaN are left out, lists are joined by :obj:`", "`,
    numbers and the like are converted by :class:`str`, and records are refused.
    Texts of ids without interactions are ignored, and counted in :attr:`counts`.

    **Bad input** raises an error that names file, line and column. Lines of CSV files
    are counted with the header, without empty lines and line breaks inside cells; rows
    of Parquet files and tables in memory are counted from zero.

    Args:
        root (str or Path): The folder that :meth:`from_csv` or another method of its
            kind has written.
        transform (callable, optional): A transform that is applied at every access.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If :obj:`root` holds no dataset.
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
        sep: str = ',',
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
        r"""Read CSV files in batches and writes :obj:`root/processed`. Where
        :obj:`root` already holds the same files, read with the same options, they are
        not read again.

        Args:
            path (str, Path or list): One file or several, which may be
                compressed (:obj:`.gz`, :obj:`.bz2`, :obj:`.zst`).
            root (str or Path): The folder to write to.
            user (str): The column of user ids.
            item (str): The column of item ids.
            rating (str, optional): The column of ratings, or of other weights such as
                play counts: finite numbers. (default: :obj:`None`)
            timestamp (str, optional): The column of times: numbers, or ISO 8601 dates,
                in UTC where they name no time zone. (default: :obj:`None`)
            time_unit (str): The unit of times that are numbers: :obj:`"s"`,
                :obj:`"ms"`, :obj:`"us"`, :obj:`"ns"`, or :obj:`"auto"`, the one in
                which all of them are times of 1973 to 2286, else seconds. A warning
                names a unit that was found and is not seconds.
                (default: :obj:`"auto"`)
            sep (str): The separator of columns. (default: :obj:`","`)
            encoding (str): The encoding of the files. (default: :obj:`"utf-8"`)
            quote (str, optional): The quote around cells that hold separators or line
                breaks; :obj:`None` where the files use no quotes.
                (default: :obj:`'"'`)
            column_names (sequence of str, optional): The names of the columns, for
                interaction files without a header; one with it is refused.
                (default: :obj:`None`)
            users (str, Path or table, optional): The table of user texts: a Parquet
                file (:obj:`.parquet`), JSON lines (:obj:`.jsonl`), a CSV file with a
                header and the same separator, encoding and quote, or a table in memory,
                as for :meth:`from_frame`. (default: :obj:`None`)
            user_text (str or sequence of str, optional): The columns of :obj:`users`
                that form the text. (default: :obj:`None`)
            user_id (str, optional): The column of :obj:`users` that holds ids.
                (default: :obj:`None`, the name in :obj:`user`)
            items (str, Path or table, optional): The table of item texts,
                likewise. (default: :obj:`None`)
            item_text (str or sequence of str, optional): The columns of :obj:`items`
                that form the text. (default: :obj:`None`)
            item_id (str, optional): The column of :obj:`items` that holds ids.
                (default: :obj:`None`, the name in :obj:`item`)
            item_title (str, optional): The column of :obj:`items` that holds titles:
                what people are shown. (default: :obj:`None`)
            duplicates (str): How to treat repeated pairs of user and item:
                :obj:`"last"` or :obj:`"first"` keeps the rating and time of one row,
                by time, and by the order of rows where times are the same or missing;
                :obj:`"sum"` sums their ratings and keeps the last time;
                :obj:`"error"` raises. (default: :obj:`"last"`)
            transform (callable, optional): A transform that is applied at every
                access. (default: :obj:`None`)
            force_reload (bool): Whether to read the files again, and to replace a
                dataset of other files or options in :obj:`root`.
                (default: :obj:`False`)

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a column is missing or named for users and items both, a
                value cannot be read, a table of texts does not fit, or :obj:`root`
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
        for file in _as_paths(path):
            tables.add(CsvTable(file, sep, encoding, quote, names))
        tables.add_texts('user', users, user_id, user_text)
        tables.add_texts('item', items, item_id, item_text, item_title)
        options = {
            'kind': 'csv',
            'sep': sep,
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
        r"""Read Parquet files in batches. A folder stands for all Parquet files in it,
        as Spark, Dask or polars write them; in Hive's layout (:obj:`day=1/0.parquet`)
        :obj:`day` is a column, too. Times may also be timestamps or dates. The
        arguments and errors are those of :meth:`from_csv`."""
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
        batches. A field that a line lacks is missing. The arguments and errors are
        those of :meth:`from_csv`."""
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
        r"""Read a table in memory, of pandas, polars or Arrow, a mapping from names to
        columns, such as a dictionary of arrays, or a stream: a lazy frame of polars, a
        dataset or a :class:`~pyarrow.RecordBatchReader` of pyarrow, a relation of
        DuckDB, a dataset of Ray, and what else has Arrow's C stream. Streams are read
        once, batch by batch, into a temporary file without a name beside :obj:`root`,
        and nothing is written where one fails half-way. An index is ignored. The
        arguments and errors are those of :meth:`from_parquet`."""
        import_optional('pyarrow', cls.__name__, 'data')
        check_options(root, transform, force_reload)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables

        tables = InputTables(root, user, item, rating, timestamp, duplicates, time_unit)
        tables.add_frame(frame)
        tables.add_texts('user', users, user_id, user_text)
        tables.add_texts('item', items, item_id, item_text, item_title)
        tables.build({'kind': 'frame'}, force_reload)
        return cls(root, transform=transform)


def _as_paths(path: Union[PathLike, Sequence[PathLike]]) -> list[Path]:
    paths: list[Any] = list(path) if is_iterable(path) else [path]
    for each in paths:
        if not isinstance(each, (str, os.PathLike)):
            raise ValueError(f"'path' must be the path of a file, got {each!r}")
    if not paths:
        raise ValueError("'path' must name at least one file, got none")
    return [Path(each) for each in paths]
