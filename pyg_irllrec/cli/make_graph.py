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
    r"""The graph to train on, with the vectors of profiles and intents, all in one
    space.

    Args:
        folder (DataFolder): The data.
        encoder (callable): What turns texts into vectors. A
            :class:`~pyg_irllrec.text.TfidfEncoder` is fitted on all of them.
        intents (bool): Whether extracted intents are read, where there are any.
            (default: :obj:`True`)
        profiles (bool): Whether extracted profiles take the place of those that are
            joined from texts, likewise. (default: :obj:`True`)
        unsplit (bool): Whether all interactions are trained on, none held out.
            (default: :obj:`False`)

    Raises:
        ValueError: If intents or profiles were extracted from other data.
    """
    options = folder.read_options()
    kept = Compose(options.keep())(folder.open()[0])
    # Intents and profiles are compared with what they were extracted from.
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
        # Of the graph that is trained on: no profile may contain a held-out item.
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
