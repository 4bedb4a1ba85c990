from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from pyg_irllrec.datasets._ingest.raw_dataset import RawDataset
from pyg_irllrec.datasets._ingest.raw_files import (
    download_zip,
    frequent_tags,
    read_fields,
)
from pyg_irllrec.datasets._ingest.stored_dataset import Transform

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan


class LastFM(RawDataset):
    r"""Who listened to which artist, and how often, with names and tags of artists:
    the 2K dataset of Last.fm from `HetRec 2011
    <https://grouplens.org/datasets/hetrec-2011>`_, whose terms apply. It has 1,892
    users, 17,632 artists and 92,834 interactions. It is downloaded where there is a
    network; otherwise put :obj:`user_artists.dat`, :obj:`artists.dat` and, for
    tags, :obj:`tags.dat` and :obj:`user_taggedartists.dat` under :obj:`root/raw` or
    :obj:`root`. It is made once, under :obj:`processed/lastfm`.

    The :class:`~torch_geometric.data.HeteroData` is that of
    :class:`~pyg_irllrec.datasets.InteractionDataset`, with the number of plays as
    :obj:`rating`, no times, and texts of artists.

    Args:
        root (str): The folder of the dataset.
        tags (bool): Whether the text of an artist is the name and its tags, at most
            ten, the most frequent first, or the name alone. The same users wrote
            them, of whom many listen to what they tag: that an artist is held out
            for a user does not keep the tags of this user out of the text.
            (default: :obj:`True`)
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

    url = 'https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip'

    def __init__(
        self,
        root: str,
        tags: bool = True,
        processed_root: Optional[str] = None,
        force: bool = False,
        transform: Optional[Transform] = None,
    ) -> None:
        self.tags = tags
        variant = 'lastfm' if tags else 'lastfm-names'
        super().__init__(root, variant, processed_root, force, transform)

    @property
    def raw_file_names(self) -> list[str]:
        r"""The files that are read."""
        tags = ['tags.dat', 'user_taggedartists.dat'] if self.tags else []
        return ['user_artists.dat', 'artists.dat', *tags]

    def download(self) -> None:
        r"""Puts the raw files into :attr:`raw_dir`."""
        download_zip(self.url, Path(self.raw_dir), self.raw_file_names)

    def _build_plan(self) -> BuildPlan:
        from pyg_irllrec.datasets._ingest.build_plan import BuildPlan
        from pyg_irllrec.datasets._ingest.node_texts import TextColumns
        from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns
        from pyg_irllrec.datasets._ingest.tables import CsvTable, FrameTable

        plays = CsvTable(self._raw('user_artists.dat'), sep='\t', quote=None)
        _, *artists = read_fields(self._raw('artists.dat'), '\t', 4)
        tags = self._tags() if self.tags else {}
        frame = {
            'artistID': [artist for artist, *_ in artists],
            'name': [name for _, name, *_ in artists],
            'tags': [tags.get(artist, '') for artist, *_ in artists],
        }
        table = FrameTable(frame, str(self._raw('artists.dat')))
        return BuildPlan(
            [plays],
            InteractionColumns('userID', 'artistID', 'weight'),
            {'item': TextColumns(table, 'artistID', ('name', 'tags'))},
        )

    def _tags(self) -> dict[str, str]:
        _, *tags = read_fields(self._raw('tags.dat'), '\t', 2)
        _, *given = read_fields(self._raw('user_taggedartists.dat'), '\t', 6)
        value = {tag: text for tag, text in tags}
        for _, artist, tag, *_ in given:
            if tag not in value:
                raise ValueError(
                    f'{self._raw("user_taggedartists.dat")} gives artist {artist} the '
                    f'tag {tag!r}, which tags.dat does not have'
                )
        return frequent_tags((artist, value[tag]) for _, artist, tag, *_ in given)
