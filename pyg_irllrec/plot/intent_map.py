from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import torch

from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.plot.project_to_plane import project_to_plane
from pyg_irllrec.typing import FloatArray
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_choice, check_count
from pyg_irllrec.utils.node_data import check_sides
from pyg_irllrec.utils.optional import import_optional
from pyg_irllrec.utils.printable import printable

_MAX_COLOURS = 12  # Per side.
_PALETTE = (
    *('#1f77b4', '#ff7f0e', '#2ca02c', '#d62728', '#9467bd', '#8c564b', '#e377c2'),
    *('#bcbd22', '#17becf', '#000000', '#98df8a', '#aec7e8', '#ffbb78', '#ff9896'),
    *('#c5b0d5', '#c49c94', '#f7b6d2', '#dbdb8d', '#9edae5', '#393b79', '#637939'),
    *('#8c6d31', '#843c39', '#7b4173'),
)
"""Enough colours for two sides."""


def draw_intent_map(
    explain: IntentExplainer,
    marked: Optional[Mapping[str, Mapping[int, object]]] = None,
    *,
    sides: Optional[Sequence[str]] = None,
    max_nodes: int = 2000,
) -> Any:
    r"""Draw the nodes of each side in the plane. The colour of a node shows the latent
    intent with the largest lift, and the legend describes the intent in words. Intents
    with the same words have the same colour on both sides.

    Args:
        explain (IntentExplainer): The explained model.
        marked (dict, optional): The nodes to mark: for each side, a dictionary from
            node index to label. (default: :obj:`None`)
        sides (sequence of str, optional): The node types to draw.
            (default: :obj:`None`, both)
        max_nodes (int): The largest number of nodes per side. A larger side is sampled
            at random; marked nodes are kept first. (default: :obj:`2000`)

    Returns:
        The :class:`matplotlib.figure.Figure`.

    Raises:
        ValueError: If the model has no intents, or a side or node does not exist.
        ImportError: If matplotlib is not installed.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.explain import IntentExplainer
        >>> from pyg_irllrec.plot import draw_intent_map
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explain = IntentExplainer(build_model(data, alignment='full'), data)
        >>> figure = draw_intent_map(explain, {'user': {3: 'Ann'}}, sides=['user'])
        >>> figure.savefig('users.png', dpi=50)
    """
    check_instance('explain', explain, IntentExplainer)
    check_count('max_nodes', max_nodes)
    marked = {} if marked is None else marked
    check_instance('marked', marked, Mapping)
    for side, labels in marked.items():
        check_choice('marked', side, explain.sides)
        check_instance(f'marked[{side!r}]', labels, Mapping)
        nodes = range(len(explain.embedding(side)))
        if wrong := [node for node in labels if node not in nodes]:
            raise ValueError(
                f"'marked[{side!r}]' must have node indices from 0 to "
                f'{len(nodes) - 1} as keys, got {wrong[0]!r}'
            )
    sides = explain.sides if sides is None else check_sides(sides)
    for side in sides:
        if explain.share(side).size(1) == 0:
            raise ValueError(
                "'explain' must belong to a model with intents, got a backbone with "
                'num_intents=0'
            )
    figures = import_optional('matplotlib.figure', 'draw_intent_map', 'plot')
    figure = figures.Figure(figsize=(7 * len(sides), 8.5), layout='constrained')
    colours: dict[str, Any] = {}
    panels = figure.subplots(1, len(sides), squeeze=False)[0]
    for axes, side in zip(panels, sides, strict=True):
        labels = marked.get(side, {})
        embedding = explain.embedding(side)
        shown = _sample(len(embedding), list(labels), max_nodes)
        (points,) = project_to_plane([embedding[shown]])
        _draw_side(axes, explain, side, points, shown, colours)
        for point, label in zip(points, labels.values(), strict=False):
            _mark(axes, point, str(label))
    return figure


def _sample(num_nodes: int, first: list[int], most: int) -> list[int]:
    r"""Sample nodes at random, with the given nodes first."""
    drawn = torch.randperm(num_nodes, generator=torch.Generator().manual_seed(0))
    return list(dict.fromkeys([*first, *drawn.tolist()]))[:most]


def _draw_side(
    axes: Any,
    explain: IntentExplainer,
    side: str,
    at: FloatArray,
    shown: list[int],
    colours: dict[str, Any],
) -> None:
    r"""Draw the nodes of one side. The most frequent intents get a colour, which is the
    same on both sides. All other nodes are grey."""
    strongest = explain.lift(side)[shown].argmax(dim=1).tolist()
    prototypes = explain.prototypes(side)
    intent = [', '.join(sorted(prototypes[k].words)) for k in strongest]
    largest = [name for name, _ in Counter(intent).most_common(_MAX_COLOURS)]
    rest = ~np.isin(intent, largest)
    axes.scatter(*at[rest].T, s=10, c='lightgrey', linewidths=0, label='-')
    for name in largest:
        mine = at[np.array(intent) == name]
        colour = colours.setdefault(name, _PALETTE[len(colours) % len(_PALETTE)])
        axes.scatter(*mine.T, s=16, color=colour, linewidths=0, label='-')
    axes.set(xticks=[], yticks=[])
    # Matplotlib would read text between dollar signs as a formula.
    title = f'{side.capitalize()}s, coloured by their strongest latent intent'
    axes.set_title(printable(title), parse_math=False)
    legend = axes.legend(
        loc='upper center',
        bbox_to_anchor=(0.5, -0.01),
        ncols=2,
        frameon=False,
        markerscale=2,
    )
    for text, name in zip(legend.get_texts(), ['others', *largest], strict=True):
        text.set_text(printable(name))
        text.set_parse_math(False)


def _mark(axes: Any, point: FloatArray, label: str) -> None:
    axes.scatter(*point, s=120, facecolors='none', edgecolors='black', zorder=3)
    axes.annotate(
        printable(label),
        point,
        xytext=(7, 5),
        textcoords='offset points',
        weight='bold',
        parse_math=False,
        bbox={'boxstyle': 'round,pad=0.1', 'fc': 'white', 'ec': 'none', 'alpha': 0.7},
    )
