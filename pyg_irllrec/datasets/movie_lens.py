from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Optional

from pyg_irllrec.datasets._ingest.raw_dataset import RawDataset
from pyg_irllrec.datasets._ingest.raw_files import (
    download_zip,
    frequent_tags,
    read_csv,
    read_fields,
)
from pyg_irllrec.datasets._ingest.stored_dataset import Transform
from pyg_irllrec.utils.checks import check_choice

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
    from pyg_irllrec.datasets._ingest.tables import Table

_COLUMNS = ('userId', 'movieId', 'rating', 'timestamp')


class MovieLens(RawDataset):
    r"""Ratings of films, with titles and genres, from `GroupLens
    <https://grouplens.org/datasets/movielens>`_, whose terms apply. It is downloaded
    where there is a network; otherwise put the files named below under
    :obj:`root/raw` or :obj:`root`. It is made once, under
    :obj:`processed/name`.

    .. list-table::
        :header-rows: 1

        * - name
          - users
          - films
          - ratings
          - files
        * - :obj:`"latest-small"`
          - 610
          - 9,724
          - 100,836
          - :obj:`ratings.csv`, :obj:`movies.csv` and, for :obj:`tags`,
            :obj:`tags.csv`
        * - :obj:`"100k"`
          - 943
          - 1,682
          - 100,000
          - :obj:`u.data`, :obj:`u.item`, :obj:`u.genre`
        * - :obj:`"1m"`
          - 6,040
          - 3,706
          - 1,000,209
          - :obj:`ratings.dat`, :obj:`movies.dat`

    The :class:`~torch_geometric.data.HeteroData` is that of
    :class:`~pyg_irllrec.datasets.InteractionDataset`, with :obj:`rating` (to five),
    :obj:`time` and texts of films such as :obj:`"Toy Story (1995). Adventure,
    Animation"`. All ratings are kept, bad ones too.

    Args:
        root (str): The folder of the dataset.
        name (str): :obj:`"latest-small"`, :obj:`"100k"` or :obj:`"1m"`.
            (default: :obj:`"latest-small"`)
        tags (bool): Whether the text of a film ends with its tags, at most ten, the
            most frequent first; only :obj:`"latest-small"` has some. Users wrote
            them after watching, and maybe after whatever date data is split by, so
            they can tell of interactions that are to be predicted.
            (default: :obj:`False`)
        processed_root (str, optional): Where :obj:`processed` is written, if not
            under :obj:`root`. (default: :obj:`None`)
        force (bool): Whether it is made anew. (default: :obj:`False`)
        transform (callable, optional): A transform of every access.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file is missing and cannot be downloaded.
        ValueError: If a file is damaged, or not what :obj:`processed` was made from.
        ImportError: If pyarrow is not installed.
    """

    url = 'https://files.grouplens.org/datasets/movielens'
    files: ClassVar = {
        'latest-small': ('ratings.csv', 'movies.csv'),
        '100k': ('u.data', 'u.item', 'u.genre'),
        '1m': ('ratings.dat', 'movies.dat'),
    }

    def __init__(
        self,
        root: str,
        name: str = 'latest-small',
        tags: bool = False,
        processed_root: Optional[str] = None,
        force: bool = False,
        transform: Optional[Transform] = None,
    ) -> None:
        check_choice('name', name, tuple(self.files))
        if tags and name != 'latest-small':
            raise ValueError(f"'tags' must be False for {name!r}, which has none")
        self.name = name
        self.tags = tags
        variant = f'{name}-tags' if tags else name
        super().__init__(root, variant, processed_root, force, transform)

    @property
    def raw_file_names(self) -> list[str]:
        r"""The files that are read."""
        return [*self.files[self.name], *(['tags.csv'] if self.tags else [])]

    def download(self) -> None:
        r"""Puts the raw files into :attr:`raw_dir`."""
        url = f'{self.url}/ml-{self.name}.zip'
        download_zip(url, Path(self.raw_dir), self.raw_file_names)

    def _build_plan(self) -> BuildPlan:
        from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
        from pyg_irllrec.datasets._ingest.node_texts import TextColumns
        from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns
        from pyg_irllrec.datasets._ingest.tables import FrameTable

        movies = self._movies()
        tags = self._tags() if self.tags else {}
        frame = {
            'movieId': [movie for movie, _, _ in movies],
            'title': [title for _, title, _ in movies],
            'genres': [genres for _, _, genres in movies],
            'tags': [tags.get(movie, '') for movie, _, _ in movies],
        }
        table = FrameTable(frame, str(self._raw(self.raw_file_names[1])))
        texts = TextColumns(table, 'movieId', ('title', 'genres', 'tags'))
        return BuildPlan(
            [self._ratings()], InteractionColumns(*_COLUMNS), {'item': texts}
        )

    def _ratings(self) -> Table:
        from pyg_irllrec.datasets._ingest.tables import CsvTable, FrameTable

        path = self._raw(self.raw_file_names[0])
        if self.name == 'latest-small':
            return CsvTable(path)
        if self.name == '100k':
            return CsvTable(path, sep='\t', quote=None, column_names=_COLUMNS)
        rows = list(read_fields(path, '::', 4))
        frame = dict(zip(_COLUMNS, map(list, zip(*rows))))
        return FrameTable(frame, str(path), typed=False)

    def _movies(self) -> list[tuple[str, str, str]]:
        r"""Id, title and genres of every film."""
        path = self._raw(self.raw_file_names[1])
        if self.name == 'latest-small':
            return [
                (movie, title, _genres(genres.split('|')))
                for movie, title, genres in read_csv(
                    path, ('movieId', 'title', 'genres')
                )
            ]
        if self.name == '1m':
            return [
                (movie, title, _genres(genres.split('|')))
                for movie, title, genres in read_fields(path, '::', 3)
            ]
        names = [name for name, _ in read_fields(self._raw('u.genre'), '|', 2)]
        return [
            (movie, title, _genres(n for n, flag in zip(names, flags) if flag == '1'))
            for movie, title, _, _, _, *flags in read_fields(path, '|', 5 + len(names))
        ]

    def _tags(self) -> dict[str, str]:
        rows = read_csv(self._raw('tags.csv'), ('movieId', 'tag'))
        return frequent_tags((movie, tag) for movie, tag in rows)


def _genres(names: Iterable[str]) -> str:
    return ', '.join(n for n in names if n not in ('unknown', '(no genres listed)'))
