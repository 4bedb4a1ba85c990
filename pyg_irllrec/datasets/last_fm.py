from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from pyg_irllrec.datasets._ingest.raw_dataset import RawDataset
from pyg_irllrec.datasets._ingest.raw_files import (
    download_zip,
    frequent_tags,
    read_fields,
)
from pyg_irllrec.typing import DataTransform, PathLike
from pyg_irllrec.utils.argument_checks import check_flag

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan


class LastFM(RawDataset):
    r"""Users and the artists that they listened to, with play counts, names and tags:
    the Last.fm 2K dataset of `HetRec 2011
    <https://grouplens.org/datasets/hetrec-2011>`_, whose terms apply. It has 1,892
    users, 17,632 artists and 92,834 interactions. The files are downloaded unless
    :obj:`user_artists.dat`, :obj:`artists.dat` and, for :obj:`tags`, :obj:`tags.dat`
    and :obj:`user_taggedartists.dat` are in :obj:`root/raw` or :obj:`root`. The dataset
    is built once, under :obj:`processed/lastfm`.

    Its :class:`~torch_geometric.data.HeteroData` has the layout of
    :class:`~pyg_irllrec.datasets.InteractionDataset`, with the number of plays as
    :obj:`rating`, no times, and texts of artists.

    Args:
        root (str or Path): The folder of the dataset.
        tags (bool): Whether to append the tags of an artist to its text: at most ten,
            the most frequent first. **They may leak**: the same users wrote them, and
            many listen to what they tag, so the text of an artist that is held out
            for a user can contain tags by this user. (default: :obj:`False`)
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
        >>> from pyg_irllrec.datasets import LastFM
        >>> dataset = LastFM('data/lastfm')
        >>> dataset
        LastFM(num_users=1892, num_items=17632, num_interactions=92834)
        >>> dataset[0]['item'].text[0]
        'MALICE MIZER'
    """

    url = 'https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip'

    def __init__(
        self,
        root: PathLike,
        *,
        tags: bool = False,
        processed_root: Optional[PathLike] = None,
        transform: Optional[DataTransform] = None,
        force_reload: bool = False,
    ) -> None:
        check_flag('tags', tags)
        self.tags = tags
        variant = 'lastfm-tags' if tags else 'lastfm'
        super().__init__(root, variant, processed_root, transform, force_reload)

    @property
    def raw_file_names(self) -> list[str]:
        r"""The names of the files that are read."""
        tags = ['tags.dat', 'user_taggedartists.dat'] if self.tags else []
        return ['user_artists.dat', 'artists.dat', *tags]

    def download(self) -> None:
        r"""Download the raw files to :attr:`raw_dir`."""
        download_zip(self.url, Path(self.raw_dir), self.raw_file_names)

    def _build_plan(self) -> BuildPlan:
        from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
        from pyg_irllrec.datasets._ingest.csv_table import CsvTable
        from pyg_irllrec.datasets._ingest.frame_table import FrameTable
        from pyg_irllrec.datasets._ingest.node_texts import TextColumns
        from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns

        plays = CsvTable(self._raw_path('user_artists.dat'), sep='\t', quote=None)
        _, *artists = read_fields(self._raw_path('artists.dat'), '\t', 4)
        tags = self._read_tags() if self.tags else {}
        frame = {
            'artistID': [artist for artist, *_ in artists],
            'name': [name for _, name, *_ in artists],
            'tags': [tags.get(artist, '') for artist, *_ in artists],
        }
        table = FrameTable(frame, str(self._raw_path('artists.dat')))
        return BuildPlan(
            [plays],
            InteractionColumns('userID', 'artistID', 'weight'),
            {'item': TextColumns(table, 'artistID', ('name', 'tags'))},
        )

    def _read_tags(self) -> dict[str, str]:
        _, *tags = read_fields(self._raw_path('tags.dat'), '\t', 2)
        path = self._raw_path('user_taggedartists.dat')
        _, *assignments = read_fields(path, '\t', 6)
        tag_text = {tag: text for tag, text in tags}
        for _, artist, tag, *_ in assignments:
            if tag not in tag_text:
                raise ValueError(
                    f'{path} must refer to tags of tags.dat, got tag {tag!r} of artist '
                    f'{artist}'
                )
        return frequent_tags(
            (artist, tag_text[tag]) for _, artist, tag, *_ in assignments
        )
