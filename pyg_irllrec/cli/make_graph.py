from __future__ import annotations

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.transforms import AddIntents, AddProfiles, EncodeText, ProfileTexts
from pyg_irllrec.typing import SIDES, TextEncoder
from pyg_irllrec.utils.node_data import read_texts

VECTORS = {'profile_text': 'profile', 'intent_text': 'intent'}


def make_graph(
    folder: DataFolder,
    encoder: TextEncoder,
    *,
    intents: bool = True,
    profiles: bool = True,
    unsplit: bool = False,
) -> HeteroData:
    r"""Build the graph to train on, with the vectors of profiles and intents from one
    encoder.

    Args:
        folder (DataFolder): The data.
        encoder (callable): The text encoder. A
            :class:`~pyg_irllrec.text.TfidfEncoder` is fitted on all texts.
        intents (bool): Whether to read extracted intents, if there are any.
            (default: :obj:`True`)
        profiles (bool): Whether to read extracted profiles, if there are any, instead
            of joining the texts of items. (default: :obj:`True`)
        unsplit (bool): Whether to train on all interactions, with none held out.
            (default: :obj:`False`)

    Raises:
        ValueError: If intents or profiles were extracted from other data, or from
            another split.
    """
    options = folder.read_options()
    kept = Compose(options.filters())(folder.open()[0])
    # AddIntents and AddProfiles check that the texts come from this split.
    split = options.hold_out()(kept)
    written: list[str] = []
    if intents and folder.intents.is_file():
        split = _add(split, AddIntents(folder.intents, sides=SIDES), 'intents')
        written.append('intent_text')
    if profiles and folder.profiles.is_file():
        split = _add(split, AddProfiles(folder.profiles, sides=SIDES), 'profiles')
        written.append('profile_text')
    graph: HeteroData = kept if unsplit else split
    for name in written:
        for side in SIDES:
            graph[side][name] = split[side][name]
    if 'text' in graph['item'] and 'profile_text' not in graph['item']:
        # From training interactions only: no profile may contain a held-out item.
        graph = ProfileTexts(unsplit=unsplit)(graph)
    return _encode(graph, encoder)


def _add(split: HeteroData, step: BaseTransform, what: str) -> HeteroData:
    try:
        added: HeteroData = step(split)
    except ValueError as error:
        raise ValueError(
            f'{error}: run pyg-irllrec intents again (--what {what}), or train with '
            f'--no-{what}'
        ) from None
    return added


def _encode(graph: HeteroData, encoder: TextEncoder) -> HeteroData:
    names = [name for name in VECTORS if name in graph['item']]
    if names and isinstance(encoder, TfidfEncoder):
        texts = (read_texts(graph, side, name) for name in names for side in SIDES)
        encoder.fit([text for each in texts for text in each])
    for name in names:
        graph = EncodeText(encoder, name, VECTORS[name])(graph)
    return graph
