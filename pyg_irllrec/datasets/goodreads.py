from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from pyg_irllrec.datasets._ingest.raw_dataset import RawDataset
from pyg_irllrec.datasets._ingest.raw_files import read_json_lines
from pyg_irllrec.datasets._ingest.stored_dataset import Transform

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
    from pyg_irllrec.datasets._ingest.tables import Table


class Goodreads(RawDataset):
    r"""Readers and books of Goodreads, with a description of every book that GPT-3.5
    wrote from its title alone: no interaction has been seen by it. There is nothing
    to download: put under :obj:`root/raw` or :obj:`root`

    - :obj:`norm_interactions.tsv`, tab-separated, with the columns :obj:`user` and
      :obj:`item`;
    - :obj:`norm_items.jsonl`, an object a line with :obj:`item`, :obj:`title` and
      :obj:`gpt_description`;
    - for :obj:`user_interests`, :obj:`norm_users.jsonl`, with :obj:`user` and
      :obj:`gpt_interests`, a list of words.

    It is made once, under :obj:`processed/goodreads`. The
    :class:`~torch_geometric.data.HeteroData` is that of
    :class:`~pyg_irllrec.datasets.InteractionDataset`, without ratings and times,
    with texts of books.

    Args:
        root (str): The folder of the dataset.
        user_interests (bool): Whether users have texts, five interests that GPT-3.5
            read from their *whole* history. **They leak**: whatever is held out is
            told of in them. They are an upper bound, and no result.
            (default: :obj:`False`)
        processed_root (str, optional): Where :obj:`processed` is written, if not
            under :obj:`root`. (default: :obj:`None`)
        force (bool): Whether it is made anew. (default: :obj:`False`)
        transform (callable, optional): A transform of every access.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or not what :obj:`processed` was made from.
        ImportError: If pyarrow is not installed.
    """

    def __init__(
        self,
        root: str,
        user_interests: bool = False,
        processed_root: Optional[str] = None,
        force: bool = False,
        transform: Optional[Transform] = None,
    ) -> None:
        self.user_interests = user_interests
        variant = 'goodreads-interests' if user_interests else 'goodreads'
        super().__init__(root, variant, processed_root, force, transform)

    @property
    def raw_file_names(self) -> list[str]:
        r"""The files that are read."""
        users = ['norm_users.jsonl'] if self.user_interests else []
        return ['norm_interactions.tsv', 'norm_items.jsonl', *users]

    def _build_plan(self) -> BuildPlan:
        from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
        from pyg_irllrec.datasets._ingest.node_texts import TextColumns
        from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns
        from pyg_irllrec.datasets._ingest.tables import CsvTable

        interactions = CsvTable(
            self._raw('norm_interactions.tsv'), sep='\t', quote=None
        )
        item_text = ('title', 'gpt_description')
        items = self._json_table('norm_items.jsonl', ('item', *item_text))
        texts = {'item': TextColumns(items, 'item', item_text)}
        if self.user_interests:
            users = self._json_table('norm_users.jsonl', ('user', 'gpt_interests'))
            texts['user'] = TextColumns(users, 'user', ('gpt_interests',))
        columns = InteractionColumns('user', 'item')
        return BuildPlan([interactions], columns, texts)

    def _json_table(self, name: str, columns: tuple[str, ...]) -> Table:
        from pyg_irllrec.datasets._ingest.tables import FrameTable

        path = self._raw(name)
        return FrameTable(read_json_lines(path, columns), str(path))
