from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.clean_id import clean_id


def find_nodes(
    option: str,
    names: Sequence[NodeId],
    ids: Sequence[NodeId],
    dropped: Iterable[NodeId] = (),
) -> list[int]:
    r"""The nodes of original ids, which come from the command line as text, each once.

    Args:
        option (str): The option that holds them, for the error.
        names (sequence): The ids.
        ids (sequence): The original id of each node of the graph.
        dropped (iterable): The ids of nodes that the graph was left without, for a
            clearer error. (default: :obj:`()`)

    Raises:
        ValueError: If an id is unknown.
    """
    if len(ids) == 0:
        raise ValueError(
            f'{option} must name ids that are in the graph, which has none'
        )
    given = [clean_id(str(name)) for name in names]
    nodes = {str(name): node for node, name in enumerate(ids)}
    for name in given:
        if name not in nodes:
            few = name in set(map(str, dropped))
            why = 'which has too few (liked) interactions' if few else 'which is not'
            raise ValueError(
                f'{option} must name ids that are in the graph, got {name}, {why} '
                f'({len(nodes)} are, such as {next(iter(nodes))})'
            )
    return list(dict.fromkeys(nodes[name] for name in given))
