from __future__ import annotations

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.model_options import TextChoices
from pyg_irllrec.presets import ALIGNMENT_TEXTS
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.transforms import AddIntents, AddProfiles, EncodeText, ProfileTexts
from pyg_irllrec.typing import SIDES, TextEncoder
from pyg_irllrec.utils.node_data import read_texts

VECTORS = {'profile_text': 'profile', 'intent_text': 'intent'}


def make_graph(
    folder: DataFolder,
    encoder: TextEncoder,
    choices: TextChoices,
    *,
    unsplit: bool = False,
) -> HeteroData:
    r"""Build the graph to train on, with the vectors of profiles and intents from one
    encoder.

    Args:
        folder (DataFolder): The data.
        encoder (callable): The text encoder. A
            :class:`~pyg_irllrec.text.TfidfEncoder` is fitted on all texts.
        choices (TextChoices): The texts to use.
        unsplit (bool): Whether to train on all interactions, with none held out.
            (default: :obj:`False`)

    Raises:
        ValueError: If intents or profiles were extracted from other data, or from
            another split, or are missing for a node.
    """
    options = folder.read_options()
    kept = Compose(options.filters())(folder.open()[0])
    # AddIntents and AddProfiles check that the texts come from this split.
    split = options.hold_out()(kept)
    graph: HeteroData = kept if unsplit else split
    if not choices.texts:
        return graph
    written = {
        'intent_text': ('intents', choices.intents, folder.intents, AddIntents),
        'profile_text': ('profiles', choices.profiles, folder.profiles, AddProfiles),
    }
    for name, (what, is_read, path, add) in written.items():
        if is_read and path.is_file():
            step = add(path, sides=SIDES, missing=choices.missing)
            split = _add(split, step, what)
            for side in SIDES:
                graph[side][name] = split[side][name]
    if 'text' in graph['item'] and 'profile_text' not in graph['item']:
        # From training interactions only: no profile may contain a held-out item.
        graph = ProfileTexts(unsplit=unsplit)(graph)
    return _encode(graph, encoder)


def check_texts(
    graph: HeteroData, backbone: str, alignment: str, choices: TextChoices
) -> None:
    r"""Raise a :class:`ValueError` if a graph lacks texts that a model needs."""
    needed = ALIGNMENT_TEXTS[alignment]
    if backbone == 'alpharec':
        needed = (*needed, 'profile')
    ways = {
        'profile': 'texts of items (pyg-irllrec prepare --items)',
        'intent': 'intents (pyg-irllrec intents)',
    }
    for text, way in ways.items():
        if text in needed and text not in graph['item']:
            got = 'none'
            if not choices.texts:
                got = '--no-texts'
            elif text == 'intent' and not choices.intents:
                got = '--no-intents'
            raise ValueError(
                f'--backbone {backbone} --alignment {alignment} needs {way}, got {got}'
            )


def _add(split: HeteroData, step: BaseTransform, what: str) -> HeteroData:
    again = f'run pyg-irllrec intents again (--what {what})'
    advice = {
        ": run the extraction again, or leave them blank with missing='blank'": (
            f': {again}, or pass --missing blank'
        ),
        f'. Extract {what} from this split, or pass check_evidence=False': (
            f': {again}, or pass --no-{what}'
        ),
    }
    try:
        added: HeteroData = step(split)
    except ValueError as error:
        text = str(error)
        for old, new in advice.items():
            if text.endswith(old):
                raise ValueError(text.replace(old, new)) from None
        raise ValueError(f'{text}: {again}, or pass --no-{what}') from None
    return added


def _encode(graph: HeteroData, encoder: TextEncoder) -> HeteroData:
    names = [name for name in VECTORS if name in graph['item']]
    if names and isinstance(encoder, TfidfEncoder):
        texts = (read_texts(graph, side, name) for name in names for side in SIDES)
        encoder.fit([text for each in texts for text in each])
    for name in names:
        graph = EncodeText(encoder, name, VECTORS[name])(graph)
    return graph
