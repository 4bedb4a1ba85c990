from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from pyg_irllrec.datasets._ingest.raw_dataset import RawDataset
from pyg_irllrec.typing import DataTransform, PathLike
from pyg_irllrec.utils.argument_checks import check_flag

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan


class Goodreads(RawDataset):
    r"""Readers and books of Goodreads. Each book has a description that GPT-3.5 wrote
    from its title alone, without any interaction. There is nothing to download: put
    these files under :obj:`root/raw` or :obj:`root`:

    - :obj:`norm_interactions.tsv`, tab-separated, with the columns :obj:`user` and
      :obj:`item`;
    - :obj:`norm_items.jsonl`, one object per line with :obj:`item`, :obj:`title` and
      :obj:`gpt_description`;
    - for :obj:`user_texts`, :obj:`norm_users.jsonl`, with :obj:`user` and
      :obj:`gpt_interests`, a list of words.

    The dataset is built once, under :obj:`processed/goodreads`. Its
    :class:`~torch_geometric.data.HeteroData` has the layout of
    :class:`~pyg_irllrec.datasets.InteractionDataset`, with texts of books and without
    ratings and times.

    Args:
        root (str or Path): The folder of the dataset.
        user_texts (bool): Whether to add texts of users: five interests that GPT-3.5
            inferred from their *whole* history. **They leak** held-out interactions:
            use them as an upper bound, never as a result. (default: :obj:`False`)
        processed_root (str or Path, optional): Where to write :obj:`processed`.
            (default: :obj:`None`, under :obj:`root`)
        transform (callable, optional): A transform that is applied on every access.
            (default: :obj:`None`)
        force_reload (bool): Whether to build the dataset again.
            (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or :obj:`processed` was built from other
            files.
        ImportError: If pyarrow is not installed.

    Example:
        >>> from pyg_irllrec.datasets import Goodreads
        >>> dataset = Goodreads('data/goodreads')
        >>> dataset
        Goodreads(num_users=23089, num_items=15441, num_interactions=180240)
        >>> dataset[0]['item'].text[0]
        'Heaven. Heaven is a book that explores the concept of the afterlife ...'
    """

    def __init__(
        self,
        root: PathLike,
        *,
        user_texts: bool = False,
        processed_root: Optional[PathLike] = None,
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> None:
        check_flag('user_texts', user_texts)
        self.user_texts = user_texts
        variant = 'goodreads-user-texts' if user_texts else 'goodreads'
        super().__init__(root, variant, processed_root, transform, force_reload)

    @property
    def raw_file_names(self) -> list[str]:
        r"""The names of the files that are read."""
        users = ['norm_users.jsonl'] if self.user_texts else []
        return ['norm_interactions.tsv', 'norm_items.jsonl', *users]

    def _build_plan(self) -> BuildPlan:
        from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
        from pyg_irllrec.datasets._ingest.csv_table import CsvTable
        from pyg_irllrec.datasets._ingest.json_lines_table import JsonLinesTable
        from pyg_irllrec.datasets._ingest.node_texts import TextColumns
        from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns

        interactions = CsvTable(
            self._raw_path('norm_interactions.tsv'), sep='\t', quote=None
        )
        item_text = ('title', 'gpt_description')
        items = JsonLinesTable(self._raw_path('norm_items.jsonl'))
        texts = {'item': TextColumns(items, 'item', item_text)}
        if self.user_texts:
            users = JsonLinesTable(self._raw_path('norm_users.jsonl'))
            texts['user'] = TextColumns(users, 'user', ('gpt_interests',))
        columns = InteractionColumns('user', 'item')
        return BuildPlan([interactions], columns, texts)
