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

_MOST = 12  # Meanings of a side that get a colour.
_PALETTE = (
    *('#1f77b4', '#ff7f0e', '#2ca02c', '#d62728', '#9467bd', '#8c564b', '#e377c2'),
    *('#bcbd22', '#17becf', '#000000', '#98df8a', '#aec7e8', '#ffbb78', '#ff9896'),
    *('#c5b0d5', '#c49c94', '#f7b6d2', '#dbdb8d', '#9edae5', '#393b79', '#637939'),
    *('#8c6d31', '#843c39', '#7b4173'),
)
"""Two sides' worth."""


def draw_intent_map(
    explain: IntentExplainer,
    marked: Optional[Mapping[str, Mapping[int, object]]] = None,
    *,
    sides: Optional[Sequence[str]] = None,
    max_nodes: int = 2000,
) -> Any:
    r"""Draw the nodes of each side in the plane, coloured by the latent intent that
    they lean to most, with its words. Intents of the same words have the same colour on
    both sides.

    Args:
        explain (IntentExplainer): The explained model.
        marked (dict, optional): The nodes to mark, by side, with their labels.
            (default: :obj:`None`)
        sides (sequence of str, optional): The node types. (default: :obj:`None`, both)
        max_nodes (int): The most nodes per side; others are left out at random, marked
            ones last. (default: :obj:`2000`)

    Returns:
        The :class:`matplotlib.figure.Figure`; its :obj:`savefig` writes it.

    Raises:
        ValueError: If the model has no intents, or it has no such side or node.
        ImportError: If matplotlib is not installed.
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
                f"'marked[{side!r}]' must hold nodes from 0 to {len(nodes) - 1}, got "
                f'{wrong[0]!r}'
            )
    sides = explain.sides if sides is None else check_sides(sides)
    for side in sides:
        if explain.share(side).size(1) == 0:
            raise ValueError(
                "'explain' must be of a model with intents to colour by, got one whose "
                'backbone has num_intents=0'
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
    r"""Some nodes, these first."""
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
    r"""The meanings that lead most nodes get a colour, the same one on both sides."""
    lead = explain.lift(side)[shown].argmax(dim=1).tolist()
    prototypes = explain.prototypes(side)
    meaning = [', '.join(sorted(prototypes[k].words)) for k in lead]
    largest = [name for name, _ in Counter(meaning).most_common(_MOST)]
    rest = ~np.isin(meaning, largest)
    axes.scatter(*at[rest].T, s=10, c='lightgrey', linewidths=0, label='-')
    for name in largest:
        mine = at[np.array(meaning) == name]
        colour = colours.setdefault(name, _PALETTE[len(colours) % len(_PALETTE)])
        axes.scatter(*mine.T, s=16, color=colour, linewidths=0, label='-')
    axes.set(xticks=[], yticks=[])
    # Text is shown as it is: to matplotlib, dollars are formulas.
    title = f'{side.capitalize()}s, by the latent intent that they lean to most'
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
