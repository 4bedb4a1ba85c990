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
from pyg_irllrec.typing import DataTransform, PathLike
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_choice

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
    from pyg_irllrec.datasets._ingest.table import Table

_COLUMNS = ('userId', 'movieId', 'rating', 'timestamp')


class MovieLens(RawDataset):
    r"""Ratings of films, with titles and genres, from `GroupLens
    <https://grouplens.org/datasets/movielens>`_, whose terms apply. The files
    below are downloaded unless they are in :obj:`root/raw` or :obj:`root`. The dataset
    is built once, under :obj:`processed/name`.

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

    Its :class:`~torch_geometric.data.HeteroData` has the layout of
    :class:`~pyg_irllrec.datasets.InteractionDataset`, with :obj:`rating` (up to five),
    :obj:`time` and texts of films such as :obj:`"Toy Story (1995). Adventure,
    Animation"`. All ratings are kept, including low ones, which
    :class:`~pyg_irllrec.transforms.BinarizeRatings` drops.

    Args:
        root (str or Path): The folder of the dataset.
        name (str): :obj:`"latest-small"`, :obj:`"100k"` or :obj:`"1m"`.
            (default: :obj:`"latest-small"`)
        tags (bool): Whether to append the tags of a film to its text: at most ten, the
            most frequent first; only :obj:`"latest-small"` has tags. **They may
            leak**: users write them after they watch a film, so they can reveal
            interactions that are held out. (default: :obj:`False`)
        processed_root (str or Path, optional): Where to write :obj:`processed`.
            (default: :obj:`None`, under :obj:`root`)
        transform (callable, optional): A transform that is applied on every access.
            (default: :obj:`None`)
        force_reload (bool): Whether to build the dataset again.
            (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is missing and cannot be downloaded.
        ValueError: If a file is damaged, or :obj:`processed` was built from other
            files.
        ImportError: If pyarrow is not installed.

    Example:
        >>> from pyg_irllrec.datasets import MovieLens
        >>> dataset = MovieLens('data/movielens')
        >>> dataset
        MovieLens(num_users=610, num_items=9724, num_interactions=100836)
        >>> dataset[0]['item'].text[0]
        'Toy Story (1995). Adventure, Animation, Children, Comedy, Fantasy'
    """

    url = 'https://files.grouplens.org/datasets/movielens'
    files: ClassVar = {
        'latest-small': ('ratings.csv', 'movies.csv'),
        '100k': ('u.data', 'u.item', 'u.genre'),
        '1m': ('ratings.dat', 'movies.dat'),
    }

    def __init__(
        self,
        root: PathLike,
        name: str = 'latest-small',
        *,
        tags: bool = False,
        processed_root: Optional[PathLike] = None,
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> None:
        check_choice('name', name, tuple(self.files))
        check_flag('tags', tags)
        if tags and name != 'latest-small':
            raise ValueError(
                f"'tags' must be False for {name!r}, which has no tags, got {tags!r}"
            )
        self.name = name
        self.tags = tags
        variant = f'{name}-tags' if tags else name
        super().__init__(root, variant, processed_root, transform, force_reload)

    @property
    def raw_file_names(self) -> list[str]:
        r"""The names of the files that are read."""
        return [*self.files[self.name], *(['tags.csv'] if self.tags else [])]

    def download(self) -> None:
        r"""Download the raw files to :attr:`raw_dir`."""
        url = f'{self.url}/ml-{self.name}.zip'
        download_zip(url, Path(self.raw_dir), self.raw_file_names)

    def _build_plan(self) -> BuildPlan:
        from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
        from pyg_irllrec.datasets._ingest.frame_table import FrameTable
        from pyg_irllrec.datasets._ingest.node_texts import TextColumns
        from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns

        movies = self._read_movies()
        tags = self._read_tags() if self.tags else {}
        frame = {
            'movieId': [movie for movie, _, _ in movies],
            'title': [title for _, title, _ in movies],
            'genres': [genres for _, _, genres in movies],
            'tags': [tags.get(movie, '') for movie, _, _ in movies],
        }
        table = FrameTable(frame, str(self._raw_path(self.raw_file_names[1])))
        texts = TextColumns(table, 'movieId', ('title', 'genres', 'tags'))
        return BuildPlan(
            [self._ratings_table()], InteractionColumns(*_COLUMNS), {'item': texts}
        )

    def _ratings_table(self) -> Table:
        from pyg_irllrec.datasets._ingest.csv_table import CsvTable
        from pyg_irllrec.datasets._ingest.frame_table import FrameTable

        path = self._raw_path(self.raw_file_names[0])
        if self.name == 'latest-small':
            return CsvTable(path)
        if self.name == '100k':
            return CsvTable(path, sep='\t', quote=None, column_names=_COLUMNS)
        rows = list(read_fields(path, '::', 4))
        frame = dict(zip(_COLUMNS, map(list, zip(*rows))))
        return FrameTable(frame, str(path))

    def _read_movies(self) -> list[tuple[str, str, str]]:
        r"""Return the id, title and genres of each film."""
        path = self._raw_path(self.raw_file_names[1])
        if self.name == 'latest-small':
            return [
                (movie, title, _join_genres(genres.split('|')))
                for movie, title, genres in read_csv(
                    path, ('movieId', 'title', 'genres')
                )
            ]
        if self.name == '1m':
            return [
                (movie, title, _join_genres(genres.split('|')))
                for movie, title, genres in read_fields(path, '::', 3)
            ]
        names = [name for name, _ in read_fields(self._raw_path('u.genre'), '|', 2)]
        return [
            (
                movie,
                title,
                _join_genres(n for n, f in zip(names, flags) if f == '1'),
            )
            for movie, title, _, _, _, *flags in read_fields(path, '|', 5 + len(names))
        ]

    def _read_tags(self) -> dict[str, str]:
        rows = read_csv(self._raw_path('tags.csv'), ('movieId', 'tag'))
        return frequent_tags((movie, tag) for movie, tag in rows)


def _join_genres(names: Iterable[str]) -> str:
    return ', '.join(n for n in names if n not in ('unknown', '(no genres listed)'))
