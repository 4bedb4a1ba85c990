from __future__ import annotations

from inspect import signature
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Embedding, Module
from torch.nn.init import xavier_uniform_
from torch_geometric.nn.inits import reset

from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils.adjacency import plain_edge_index
from pyg_irllrec.utils.argument_checks import check_flag, check_name
from pyg_irllrec.utils.checks import check_choice, check_count
from pyg_irllrec.utils.csr_matrix import csr_matrix
from pyg_irllrec.utils.graph_cache import prepare_graph

RATED_BY = ('item', 'rev_rates', 'user')


class ModuleBackbone(Backbone):
    r"""A wrapper that makes any module that embeds the nodes of a graph a backbone of
    :class:`~pyg_irllrec.nn.IRLLRec`. It adds a table of node features, and interaction
    intents: :class:`~pyg_irllrec.nn.IntentLGConv` of the embeddings :math:`\mathbf{Z}`
    that the module returns.

    By default, the module is called with the node features and a plain
    :obj:`edge_index` of dtype :obj:`torch.long`, without weights, because most modules
    of PyG normalise the graph themselves.

    :meth:`reset_parameters` resets the added parameters first, with the same random
    draws as a new :class:`ModuleBackbone`, then the module by
    :func:`torch_geometric.nn.inits.reset`. Many modules draw more random numbers in
    their constructor than in :obj:`reset_parameters`, so a module that is reset can
    differ from a new one with the same seed.

    Args:
        module (torch.nn.Module): The module, which returns node embeddings, users
            first, of shape :math:`(|\mathcal{V}|, d)`.
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings that the module
            returns.
        in_channels (int, optional): The width of a learned table of node features,
            which is passed to the module as :obj:`x`, before :obj:`edge_index`; 0 for
            modules with their own embeddings. (default: :obj:`None`,
            :obj:`embedding_dim`)
        num_intents (int): The number of intent prototypes per side, 0 for none.
            (default: :obj:`0`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`. (default: :obj:`None`, inner
            products)
        method (str): The method of the module to call. (default: :obj:`"forward"`)
        hetero (bool): Whether the module takes and returns dictionaries by type, such
            as a module from :func:`torch_geometric.nn.to_hetero`: node types
            :obj:`"user"` and :obj:`"item"`, edge types :obj:`("user", "rates", "item")`
            and :obj:`("item", "rev_rates", "user")`. (default: :obj:`False`)
        weighted (bool): Whether to pass the normalised weights to the module as
            :obj:`edge_weight`. (default: :obj:`False`)
        layout (str): The format of the graph: a plain :obj:`"edge_index"`, for which
            most layers copy one feature vector per edge, or the transposed adjacency as
            a :obj:`"csr"` matrix of torch, for which many layers use a sparse matrix
            product. If :obj:`weighted`, its values are the weights.
            (default: :obj:`"edge_index"`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range, or the module does not have the
            method, or the method does not accept this call.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import ModuleBackbone
        >>> from torch_geometric.nn import GraphSAGE
        >>> module = GraphSAGE(16, 16, num_layers=2)
        >>> backbone = ModuleBackbone(module, 2, 2, embedding_dim=16, num_intents=4)
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> output = backbone(edge_index)
        >>> output.embedding.shape, output.interaction_intent.shape
        (torch.Size([4, 16]), torch.Size([4, 16]))
    """

    metadata = (['user', 'item'], [RATES, RATED_BY])
    """The metadata of the graph, for :func:`torch_geometric.nn.to_hetero`."""

    def __init__(
        self,
        module: Module,
        num_users: int,
        num_items: int,
        embedding_dim: int,
        *,
        in_channels: Optional[int] = None,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        method: str = 'forward',
        hetero: bool = False,
        weighted: bool = False,
        layout: str = 'edge_index',
        impl: str = 'auto',
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            impl=impl,
        )
        in_channels = embedding_dim if in_channels is None else in_channels
        check_count('in_channels', in_channels, least=0)
        if not isinstance(module, Module):
            raise ValueError(
                f"'module' must be a torch.nn.Module, got {type(module).__name__}"
            )
        check_name('method', method)
        check_flag('hetero', hetero)
        check_flag('weighted', weighted)
        if not callable(getattr(module, method, None)):
            raise ValueError(
                f"'method' must name a method of {type(module).__name__}, got "
                f'{method!r}'
            )
        check_choice('layout', layout, ('edge_index', 'csr'))
        if hetero and (in_channels == 0 or weighted or layout == 'csr'):
            raise ValueError(
                'hetero=True needs in_channels above 0, weighted=False and '
                f"layout='edge_index', got {in_channels}, {weighted} and {layout!r}"
            )
        by_name = weighted and layout == 'edge_index'
        _check_call(module, method, in_channels > 0, by_name)
        self.module = module
        self.in_channels = in_channels
        self.method = method
        self.hetero = hetero
        self.weighted, self.layout = weighted, layout
        self.features: Optional[Embedding] = None
        if in_channels > 0:
            table = torch.empty(self.num_nodes, in_channels)
            self.features = Embedding.from_pretrained(table, freeze=False)
        self._draw_table()

    def reset_parameters(self) -> None:
        r"""Reset the added parameters (Xavier-uniform), then the module."""
        super().reset_parameters()
        self._draw_table()
        reset(self.module)

    def _draw_table(self) -> None:
        if self.features is not None:
            xavier_uniform_(self.features.weight)

    def __repr__(self) -> str:
        return Module.__repr__(self)

    def node_features(self) -> Optional[Tensor]:
        r"""Return the learned table, or :obj:`None` if there is none."""
        return None if self.features is None else self.features.weight

    def encode(self, x: Any, edge_index: Tensor, edge_weight: Tensor) -> BackboneOutput:
        r"""Embed all nodes with the module."""
        embedding = self._call(x, edge_index, edge_weight)
        intent = self.interaction_intent([embedding], edge_index)
        return BackboneOutput(embedding, intent)

    def _call(
        self, x: Optional[Tensor], edge_index: Tensor, edge_weight: Tensor
    ) -> Tensor:
        # Call the module itself if possible, so that its hooks run.
        by_name = self.method != 'forward'
        call = getattr(self.module, self.method) if by_name else self.module
        if self.hetero:
            assert x is not None
            out = self._call_hetero(call, x, plain_edge_index(edge_index))
        else:
            features = () if x is None else (x,)
            if self.layout == 'csr':
                out = call(*features, self._csr(edge_index, edge_weight))
            else:
                given = {'edge_weight': edge_weight} if self.weighted else {}
                out = call(*features, plain_edge_index(edge_index), **given)
        self.check_output('embeddings', out)
        embedding: Tensor = out
        return embedding

    def _csr(self, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        r"""Return the transposed adjacency, without a copy of its indices."""
        graph, weight = prepare_graph(edge_index, edge_weight, self.num_nodes, 'csr')
        assert graph.csr is not None and weight is not None
        if not self.weighted:
            weight = torch.ones_like(weight)
        size = (self.num_nodes, self.num_nodes)
        return csr_matrix(graph.csr.rowptr, graph.csr.col, weight, size)

    def _call_hetero(self, call: Any, x: Tensor, edge_index: Tensor) -> Tensor:
        back, forth = (end < self.num_users for end in edge_index.flip(0))
        if bool((back == forth).any()):
            raise ValueError(
                "'edge_index' must connect users with items if hetero=True, got an "
                'edge between two users or two items'
            )
        shift = edge_index.new_tensor([[0], [self.num_users]])
        graph = {
            RATES: edge_index[:, forth] - shift,
            RATED_BY: edge_index[:, back] - shift.flip(0),
        }
        out = call({'user': x[: self.num_users], 'item': x[self.num_users :]}, graph)
        if not isinstance(out, dict) or not {'user', 'item'} <= out.keys():
            got = sorted(out) if isinstance(out, dict) else type(out).__name__
            raise ValueError(
                "'module' must return a dictionary with the keys 'user' and 'item', "
                f'got {got}'
            )
        return torch.cat([out['user'], out['item']])


def _check_call(
    module: Module, method: str, has_features: bool, weighted: bool
) -> None:
    r"""Raise a :class:`ValueError` unless a method accepts a call with the graph."""
    features = ['x'] if has_features else []
    try:
        accepted = signature(getattr(module, method))
    except (TypeError, ValueError):  # It has no signature, as in TorchScript.
        return
    names = [*features, 'edge_index']
    given = {'edge_weight': None} if weighted else {}
    try:
        accepted.bind(*names, **given)
    except TypeError as error:
        call = ', '.join([*names, *(f'{name}=...' for name in given)])
        raise ValueError(
            f"'module' must accept the call {method}({call}), got "
            f'{type(module).__name__}.{method}({", ".join(accepted.parameters)}): '
            f'{error} (in_channels=0 passes no x, weighted=True passes edge_weight)'
        ) from None
