r"""Build a recommender from a graph, a backbone, an alignment and a preset."""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import signature
from typing import Any, Optional, Union

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.nn import (
    AlphaRec,
    Backbone,
    IntentAlignmentLoss,
    IRLLRec,
    Ranker,
    Recommender,
    RLMRecGen,
    SoftmaxLoss,
)
from pyg_irllrec.presets import (
    ALIGNMENT_TEXTS,
    ALIGNMENTS,
    BACKBONES,
    BASELINES,
    PARTS,
    Preset,
    auto_preset,
    get_preset,
)
from pyg_irllrec.transforms import ReduceText
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils import bipartite_edge_index
from pyg_irllrec.utils.argument_checks import check_name
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.edge_store import check_hetero, num_nodes, read_edges
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.node_data import read_vectors
from pyg_irllrec.utils.text_evidence import text_evidence

BuildBackbone = Callable[[int, int], Backbone]
"""A function from the numbers of users and items to a backbone, such as the class of a
backbone."""


def build_model(
    data: HeteroData,
    backbone: Union[str, Backbone, BuildBackbone] = 'lightgcn',
    alignment: str = 'auto',
    preset: Optional[Preset] = None,
    *,
    profile: str = 'profile',
    intent: str = 'intent',
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> Recommender:
    r"""Build a recommender from a graph with training interactions and, depending on
    the alignment, text embeddings of nodes. Ratings and weights of interactions are
    ignored: each interaction counts once. To change hyper-parameters, pass the
    :obj:`preset` of :func:`~pyg_irllrec.assemble.choose_preset` with your changes.

    Args:
        data (HeteroData): The graph of users and items, in any layout that
            :class:`~pyg_irllrec.training.InteractionDataModule` accepts as training
            data.
        backbone (str, Backbone or callable): A key of
            :obj:`~pyg_irllrec.presets.BACKBONES`, a backbone, or a function of the
            numbers of users and items that returns one. (default: :obj:`"lightgcn"`)
        alignment (str): How to use texts: :obj:`"auto"` (see
            :func:`~pyg_irllrec.presets.auto_preset`), :obj:`"none"` (the plain
            backbone), :obj:`"profile"` (RLMRec-Con), :obj:`"reconstruction"`
            (RLMRec-Gen), :obj:`"intents"` (profiles and intents, pairwise) or
            :obj:`"full"` (IRLLRec). (default: :obj:`"auto"`)
        preset (dict, optional): The hyper-parameters. The parts :obj:`"data"` and
            :obj:`"fit"` are not read, and :obj:`"backbone"` only for a backbone by
            name. The loss weights must fit the alignment: :obj:`"intents"` has neither
            a translation nor a matching term, :obj:`"full"` has at least one of them.
            Any alignment may have a :obj:`"ranking"` loss, :obj:`"features"` and
            :obj:`"companions"`. (default: :obj:`None`,
            :func:`~pyg_irllrec.assemble.choose_preset`)
        profile (str): The node attribute with the embeddings of profiles, of shape
            :math:`(N, D_t)`. (default: :obj:`"profile"`)
        intent (str): The node attribute with the embeddings of intents, likewise.
            (default: :obj:`"intent"`)
        edge_type (tuple, optional): The edge type of the interactions.
            (default: :obj:`None`, found in :obj:`data`)
        rev_edge_type (tuple, optional): The edge type of the reverse edges.
            (default: :obj:`None`, found in :obj:`data`)

    Raises:
        ValueError: If a name is unknown, text embeddings are missing, the backbone does
            not have the sizes of the graph, or the preset does not fit the alignment.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> model = build_model(data)  # then pyg_irllrec.training.fit
        >>> seen = data['user', 'rates', 'item'].edge_index
        >>> model.recommend(torch.tensor([0, 1]), k=3, exclude=seen).item.shape
        torch.Size([2, 3])
    """
    check_choice('alignment', alignment, ALIGNMENTS)
    check_hetero(data, "'data'")
    check_name('profile', profile)
    check_name('intent', intent)
    _check_backbone(backbone)
    name = backbone if isinstance(backbone, str) else 'lightgcn'
    is_chosen = preset is None
    if preset is None:
        preset = choose_preset(
            data,
            name,
            alignment,
            profile=profile,
            intent=intent,
            edge_type=edge_type,
            rev_edge_type=rev_edge_type,
        )
    _check_preset(preset)
    weights = _read_loss(preset, alignment)
    model: type[Recommender] = RLMRecGen if alignment == 'reconstruction' else IRLLRec
    options = _read_part(preset, 'model', model, f'alignment={alignment!r}')
    edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
    sides = (edge_type[0], edge_type[2])
    num_users, num_items = num_nodes(data, edge_type)
    attributes = {'profile': profile, 'intent': intent}
    texts: dict[str, Any] = {
        kind: _join_vectors(data, sides, attributes[kind], alignment)
        for kind in ALIGNMENT_TEXTS[alignment]
    }
    interactions = read_edges(data[edge_type])
    arguments: dict[str, Any] = {}
    if isinstance(backbone, str):
        needed_by = f'backbone={backbone!r}'
        arguments = _read_part(preset, 'backbone', BACKBONES[backbone], needed_by)
    if backbone == 'alpharec':
        item_text = _read_vectors(
            data,
            sides[1],
            profile,
            "backbone='alpharec'",
            "another backbone, such as 'lightgcn'",
        )
        encoder: Backbone = AlphaRec(
            num_users, num_items, item_text, interactions, **arguments
        )
    else:
        encoder = _build_backbone(backbone, num_users, num_items, arguments)
    edge_index = bipartite_edge_index(interactions, num_users, num_items)
    text = None
    if profile in data[sides[1]]:
        text = read_vectors(data, sides[1], profile)
    ranking = _read_part(preset, 'ranking', SoftmaxLoss, f'alignment={alignment!r}')
    blend: dict[str, Any] = {
        'ranking': SoftmaxLoss(**ranking) if ranking else None,
        'companions': _companions(preset, (num_users, num_items), interactions, text),
    }
    if alignment == 'reconstruction':
        return RLMRecGen(encoder, edge_index, **texts, **blend, **options)
    loss = IntentAlignmentLoss(**weights)
    if encoder.node_features() is not None:
        texts['features'] = _read_features(data, sides, attributes.values(), preset)
    if is_chosen and (encoder.num_intents == 0 or texts.get('features') is None):
        options.pop('prototype_weight', None)
    return IRLLRec(encoder, edge_index, alignment=loss, **texts, **blend, **options)


def choose_preset(
    data: HeteroData,
    backbone: str = 'lightgcn',
    alignment: str = 'auto',
    *,
    profile: str = 'profile',
    intent: str = 'intent',
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> Preset:
    r"""Return hyper-parameters for a graph without tuning: those of
    :func:`~pyg_irllrec.presets.auto_preset` for its size or, for another alignment,
    those of :func:`~pyg_irllrec.presets.get_preset` for :obj:`"own"` data.

    Texts are used only if they pass a permutation test: the texts of two items of the
    same user, and of two users of the same item, must be more similar than after
    shuffling the texts, by three standard deviations. Texts that fail the test, such as
    texts in the wrong order, are left out.

    Args:
        data (HeteroData): The graph.
        backbone (str): A key of :obj:`~pyg_irllrec.presets.BACKBONES`.
            (default: :obj:`"lightgcn"`)
        alignment (str): How to use texts, see :func:`~pyg_irllrec.build_model`.
            (default: :obj:`"auto"`)
        profile (str): The node attribute with the embeddings of profiles.
            (default: :obj:`"profile"`)
        intent (str): The node attribute with the embeddings of intents.
            (default: :obj:`"intent"`)
        edge_type (tuple, optional): The edge type of the interactions.
            (default: :obj:`None`, found in :obj:`data`)
        rev_edge_type (tuple, optional): The edge type of the reverse edges.
            (default: :obj:`None`, found in :obj:`data`)

    Raises:
        ValueError: If a name is unknown, or there are no interactions.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.assemble import choose_preset
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> preset = choose_preset(data)
        >>> preset['backbone']['embedding_dim'] = 32
        >>> build_model(data, preset=preset).backbone
        LightGCN(num_users=12, num_items=10, embedding_dim=32, num_layers=2)
    """
    check_choice('alignment', alignment, ALIGNMENTS)
    check_hetero(data, "'data'")
    if alignment != 'auto':
        return get_preset(backbone, 'own', alignment)
    edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
    num_interactions = read_edges(data[edge_type]).size(1)
    if num_interactions == 0:
        raise ValueError(f"'data' must have interactions, got none of type {edge_type}")
    sides = edge_type[0], edge_type[2]
    related = {
        (side, name): _has_evidence(data, edge_type, side, name)
        for side in sides
        for name in (profile, intent)
        if name in data[side]
    }
    given = [name for name in (profile, intent) if all(name in data[s] for s in sides)]
    has_texts = bool(given) and all(related[side, n] for side in sides for n in given)
    sizes = num_nodes(data, edge_type)
    preset = auto_preset(backbone, *sizes, num_interactions, has_texts)
    if 'ease' in preset['companions'] and not related.get((sides[1], profile), True):
        preset['companions']['ease'] = {'text_weight': 0.0, 'text_l2_weight': 1.0}
    return preset


def _has_evidence(data: HeteroData, edge_type: EdgeType, side: str, name: str) -> bool:
    user, item = read_edges(data[edge_type])
    node, neighbour = (user, item) if side == edge_type[0] else (item, user)
    return text_evidence(read_vectors(data, side, name), node, neighbour) > 3


def _companions(
    preset: Preset, sizes: tuple[int, int], interactions: Tensor, text: Optional[Tensor]
) -> list[Ranker]:
    companions: list[Ranker] = []
    for name, given in preset.get('companions', {}).items():
        check_choice("preset['companions']", name, tuple(BASELINES))
        if not isinstance(given, dict):
            raise ValueError(
                f"preset['companions'][{name!r}] must be a dictionary of keyword "
                f'arguments, got {given!r}'
            )
        read = {'item_text': text} if name == 'ease' and text is not None else {}
        companions.append(BASELINES[name](*sizes, interactions, **read, **given))
    return companions


def _read_features(
    data: HeteroData, sides: tuple[str, str], names: Collection[str], preset: Preset
) -> Optional[Tensor]:
    r"""Return the texts that users and items both have, reduced, in rows of unit
    length."""
    options = _read_part(preset, 'features', ReduceText, "'features'")
    parts = []
    for name in names:
        if not options or any(name not in data[side] for side in sides):
            continue
        texts = HeteroData()
        for side in sides:
            texts[side].num_nodes = data[side].num_nodes
            texts[side][name] = read_vectors(data, side, name)
        _check_widths(texts, sides, name)
        rows = torch.cat([texts[side][name] for side in sides])
        most = min(int((rows != 0).any(dim=1).sum()), rows.size(1))
        if most == 0:
            continue
        given = options | {'dim': min(options.get('dim', most), most)}
        texts = ReduceText(**given, target=name, sides=sides)(texts)
        parts.append(torch.cat([texts[side][name] for side in sides]))
    return unit_norm(torch.cat(parts, dim=1)) if parts else None


def _check_backbone(backbone: object) -> None:
    if isinstance(backbone, str):
        check_choice('backbone', backbone, tuple(BACKBONES))
    elif isinstance(backbone, type):
        if not issubclass(backbone, Backbone):
            raise _not_a_backbone(f'the class {backbone.__name__}')
    elif isinstance(backbone, Module) or not callable(backbone):
        if not isinstance(backbone, Backbone):
            raise _not_a_backbone(type(backbone).__name__)


def _not_a_backbone(got: str) -> ValueError:
    return ValueError(
        "'backbone' must be a name, a Backbone, or a function of (num_users, "
        f'num_items) that returns one, got {got}: wrap any other module in a '
        'ModuleBackbone'
    )


def _check_preset(preset: Preset) -> None:
    if not isinstance(preset, dict) or set(preset) - set(PARTS):
        raise ValueError(
            "'preset' must be a dictionary such as get_preset() returns, with keys "
            f'among {", ".join(map(repr, PARTS))}, got {preset!r}'
        )


_RESERVED = {
    'backbone': ('num_users', 'num_items', 'item_text', 'interactions'),
    'loss': (),
    'model': (
        'backbone',
        'edge_index',
        'edge_weight',
        'profile',
        'intent',
        'alignment',
        'features',
        'ranking',
        'companions',
    ),
    'ranking': ('popularity', 'sample_weight'),
    'features': ('target', 'sides', 'edge_type', 'rev_edge_type'),
}
"""The arguments that build_model passes itself, by part of a preset."""


def _read_part(
    preset: Preset, part: str, cls: type[Any], needed_by: str
) -> dict[str, Any]:
    r"""Return a copy of the part of a preset that contains the arguments of a class."""
    given: object = preset.get(part, {})
    if not isinstance(given, dict):
        raise ValueError(
            f"preset['{part}'] must be a dictionary of arguments of {cls.__name__}, "
            f'got {given!r}'
        )
    allowed = [
        name for name in signature(cls).parameters if name not in _RESERVED[part]
    ]
    if unknown := [name for name in given if name not in allowed]:
        raise ValueError(
            f"preset['{part}'] must contain only arguments of {cls.__name__} for "
            f'{needed_by}, {", ".join(allowed)}, got {", ".join(map(str, unknown))}: '
            'start from get_preset(backbone, dataset, alignment)'
        )
    return dict(given)


def _read_loss(preset: Preset, alignment: str) -> dict[str, Any]:
    r"""Return the arguments of :class:`IntentAlignmentLoss`, after checking that their
    weights fit the alignment."""
    given = _read_part(preset, 'loss', IntentAlignmentLoss, f'alignment={alignment!r}')
    if alignment == 'intents':
        given = {'translation_weight': 0.0, 'matching_weight': 0.0, **given}
    weights = {**IntentAlignmentLoss().weights}
    weights |= {name: given.get(f'{name}_weight', weights[name]) for name in weights}
    is_pairwise = weights['translation'] == weights['matching'] == 0
    needed = {
        'profile': (weights['profile'] > 0, 'profile_weight above 0'),
        'intents': (
            weights['intent'] > 0 and is_pairwise,
            'intent_weight above 0 and translation_weight=0, matching_weight=0',
        ),
        'full': (not is_pairwise, 'translation_weight or matching_weight above 0'),
    }
    fits, requirement = needed.get(alignment, (True, ''))
    if not fits:
        got = ', '.join(f'{name}_weight={weight}' for name, weight in weights.items())
        raise ValueError(
            f"preset['loss'] must have {requirement} for alignment={alignment!r}, got "
            f'{got}: start from get_preset(backbone, dataset, alignment)'
        )
    return given


def _read_vectors(
    data: HeteroData, side: str, name: str, needed_by: str, others: str
) -> Tensor:
    if name not in data[side]:
        raise ValueError(
            f"{needed_by} needs text embeddings in data['{side}'].{name}, got none: "
            f'compute them with EncodeText, or choose {others}'
        )
    return read_vectors(data, side, name)


def _join_vectors(
    data: HeteroData, sides: tuple[str, str], name: str, alignment: str
) -> Tensor:
    r"""Return the vectors of users and items, users first."""
    needed_by = f'alignment={alignment!r}'
    others = "another alignment, such as 'none', which needs no texts"
    user, item = (_read_vectors(data, side, name, needed_by, others) for side in sides)
    _check_widths(data, sides, name)
    return torch.cat([user, item])


def _check_widths(data: HeteroData, sides: tuple[str, str], name: str) -> None:
    user, item = (data[side][name].size(1) for side in sides)
    if user != item:
        raise ValueError(
            f"data['{sides[0]}'].{name} and data['{sides[1]}'].{name} must have the "
            f'same number of columns, got {user} and {item}'
        )


def _build_backbone(
    backbone: Union[str, Backbone, BuildBackbone],
    num_users: int,
    num_items: int,
    arguments: dict[str, Any],
) -> Backbone:
    if isinstance(backbone, str):
        return BACKBONES[backbone](num_users, num_items, **arguments)
    built: object = backbone
    if callable(backbone) and not isinstance(backbone, Module):
        built = backbone(num_users, num_items)
    if not isinstance(built, Backbone):
        raise _not_a_backbone(type(built).__name__)
    if (built.num_users, built.num_items) != (num_users, num_items):
        raise ValueError(
            f"'backbone' must have the {num_users} users and {num_items} items of "
            f"'data', got {built.num_users} and {built.num_items}"
        )
    return built
