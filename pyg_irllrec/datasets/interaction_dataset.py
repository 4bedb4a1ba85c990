from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from pyg_irllrec.datasets._ingest.stored_dataset import StoredDataset, Transform
from pyg_irllrec.datasets._require_pyarrow import require_pyarrow

PathLike = Union[str, Path]


class InteractionDataset(StoredDataset):
    r"""Anyone's interactions and texts: read from CSV or Parquet files or from
    pandas, written once under :obj:`root/processed`, and opened from there, memory
    mapped, in a moment.

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
      :math:`(2, |\mathcal{E}|)`, sorted by user, then item, and, where they were
      named, :obj:`rating` (:obj:`float32`) and :obj:`time` (:obj:`int64`,
      seconds), both of shape :math:`(|\mathcal{E}|)`;
    - :obj:`data['user'].id` and :obj:`data['item'].id`, the original ids: a tensor
      of integers, or a list of strings;
    - :obj:`data['user'].text` and :obj:`data['item'].text`, where there are: a
      text a node, :obj:`""` where there is none, read when it is asked for
      (:class:`~pyg_irllrec.utils.text_array.TextArray`).

    PyG's subgraphs and neighbour samplers select tensors alone: take :obj:`text`, and
    :obj:`id` where it is a list, out of the data before, and join them again by
    :obj:`n_id`. The transforms of this package select all.

    **Nodes** are numbered in the order of their sorted ids (integers by value,
    strings by code point): which node an id becomes depends on the set of ids
    alone, not on the order of rows or files. Only ids that occur in interactions
    become nodes.

    **Ids** are integers or strings. A CSV file does not say which: they are
    integers where all of the column are written as one (:obj:`"007"` is not).
    Files are read in pieces: what has to fit into memory is their distinct ids, and
    about 100 bytes an interaction.

    **Texts** are joined by id, never by the order of rows. Several columns become
    one text by :obj:`". "`, as in :obj:`"Toy Story (1995). Adventure"`; blanks
    around are stripped, what is null or NaN is left out, lists are joined by
    :obj:`", "`, and what else is no text is converted by :class:`str`. Texts of
    ids that do not occur are ignored, and counted in :attr:`counts`.

    **Bad input** is refused in one sentence that names file, line and column.
    Lines of CSV files are counted with the header, empty ones and line breaks
    within cells left out; rows of Parquet files and pandas from zero.

    Args:
        root (str): The folder that :meth:`from_csv`, :meth:`from_parquet` or
            :meth:`from_pandas` has written.
        transform (callable, optional): A transform of every access.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If nothing has been written there.
        ValueError: If what is there is incomplete.
        ImportError: If pyarrow is not installed.
    """

    def __init__(self, root: PathLike, transform: Optional[Transform] = None) -> None:
        require_pyarrow(type(self).__name__)
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
        duplicates: str = 'last',
        force: bool = False,
        transform: Optional[Transform] = None,
    ) -> InteractionDataset:
        r"""Reads separated values, in pieces, and writes :obj:`root/processed`; where
        the same files have been read with the same options, it is just opened.

        Args:
            path (str or list of str): A file or several, maybe compressed
                (:obj:`.gz`, :obj:`.bz2`, :obj:`.zst`).
            root (str): The folder to write to.
            user (str): The column of user ids.
            item (str): The column of item ids.
            rating (str, optional): The column of ratings, or of anything else that
                says how much, all finite numbers. (default: :obj:`None`)
            timestamp (str, optional): The column of times: numbers, which are taken
                for seconds, or ISO 8601 dates, in UTC where they say no time zone.
                (default: :obj:`None`)
            sep (str): What separates columns. (default: :obj:`","`)
            encoding (str): The encoding of the files. (default: :obj:`"utf-8"`)
            quote (str, optional): What surrounds cells with separators or line
                breaks in them; :obj:`None` if nothing does.
                (default: :obj:`'"'`)
            column_names (sequence of str, optional): The names of the columns, if
                interaction files have no line of them. (default: :obj:`None`)
            users (str or pandas.DataFrame, optional): The texts of users: a Parquet
                file (:obj:`.parquet`), or one of separated values, written as the
                interactions are, with a line of names. (default: :obj:`None`)
            user_text (str or sequence of str, optional): The columns of it that are
                joined. (default: :obj:`None`)
            user_id (str, optional): The column of it that holds ids.
                (default: :obj:`None`, named as among interactions)
            items (str or pandas.DataFrame, optional): The texts of items, likewise.
                (default: :obj:`None`)
            item_text (str or sequence of str, optional): The columns of it that are
                joined. (default: :obj:`None`)
            item_id (str, optional): The column of it that holds ids.
                (default: :obj:`None`, named as among interactions)
            duplicates (str): What becomes of a pair of user and item that is there
                more than once: :obj:`"last"` or :obj:`"first"` keeps one, by time,
                else by the order of rows; :obj:`"sum"` sums its ratings and keeps
                the last time; :obj:`"error"` refuses. (default: :obj:`"last"`)
            force (bool): Whether other data that is there is replaced.
                (default: :obj:`False`)
            transform (callable, optional): A transform of every access.
                (default: :obj:`None`)

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a column is missing, a value cannot be read, a text file
                does not fit, or :obj:`root` holds other data.
            OSError: If the disk is full. Nothing half-written is left.
        """
        require_pyarrow(cls.__name__)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables
        from pyg_irllrec.datasets._ingest.tables import CsvTable

        def open_csv(file: Path) -> CsvTable:
            return CsvTable(file, sep, encoding, quote)

        given = InputTables(user, item, rating, timestamp, duplicates, open_csv)
        for file in _as_paths(path):
            given.add(CsvTable(file, sep, encoding, quote, column_names))
        given.add_texts('user', users, user_id, user_text)
        given.add_texts('item', items, item_id, item_text)
        form = {'sep': sep, 'encoding': encoding, 'quote': quote}
        names = None if column_names is None else list(column_names)
        given.build(Path(root), force, kind='csv', **form, column_names=names)
        return cls(root, transform)

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
        users: Union[PathLike, Any, None] = None,
        user_text: Union[str, Sequence[str], None] = None,
        user_id: Optional[str] = None,
        items: Union[PathLike, Any, None] = None,
        item_text: Union[str, Sequence[str], None] = None,
        item_id: Optional[str] = None,
        duplicates: str = 'last',
        force: bool = False,
        transform: Optional[Transform] = None,
    ) -> InteractionDataset:
        r"""Reads Parquet files, in pieces. Ids are integers or strings as they are
        typed, and times may be typed as such. All arguments and errors are those of
        :meth:`from_csv`; texts may lie in Parquet files, in CSV files with commas,
        or in a :class:`pandas.DataFrame`."""
        require_pyarrow(cls.__name__)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables
        from pyg_irllrec.datasets._ingest.tables import ParquetTable

        given = InputTables(user, item, rating, timestamp, duplicates)
        for file in _as_paths(path):
            given.add(ParquetTable(file))
        given.add_texts('user', users, user_id, user_text)
        given.add_texts('item', items, item_id, item_text)
        given.build(Path(root), force, kind='parquet')
        return cls(root, transform)

    @classmethod
    def from_pandas(
        cls,
        frame: Any,
        root: PathLike,
        *,
        user: str,
        item: str,
        rating: Optional[str] = None,
        timestamp: Optional[str] = None,
        users: Union[PathLike, Any, None] = None,
        user_text: Union[str, Sequence[str], None] = None,
        user_id: Optional[str] = None,
        items: Union[PathLike, Any, None] = None,
        item_text: Union[str, Sequence[str], None] = None,
        item_id: Optional[str] = None,
        duplicates: str = 'last',
        force: bool = False,
        transform: Optional[Transform] = None,
    ) -> InteractionDataset:
        r"""Takes a :class:`pandas.DataFrame`, or anything that maps names to columns,
        such as a dictionary of arrays. Its index counts for nothing. All arguments
        and errors are those of :meth:`from_parquet`."""
        require_pyarrow(cls.__name__)
        from pyg_irllrec.datasets._ingest.input_tables import InputTables
        from pyg_irllrec.datasets._ingest.tables import FrameTable

        given = InputTables(user, item, rating, timestamp, duplicates)
        given.add(FrameTable(frame, "'frame'"))
        given.add_texts('user', users, user_id, user_text)
        given.add_texts('item', items, item_id, item_text)
        given.build(Path(root), force, kind='pandas')
        return cls(root, transform)


def _as_paths(path: Union[PathLike, Sequence[PathLike]]) -> list[Path]:
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    if not paths:
        raise ValueError("'path' must name at least one file, got none")
    return [Path(each) for each in paths]
