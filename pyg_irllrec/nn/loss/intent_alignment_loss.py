from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.nn.loss._batch import make_batch, wide_dtype
from pyg_irllrec.nn.loss.interaction_text_matching_loss import (
    InteractionTextMatchingLoss,
)
from pyg_irllrec.nn.loss.pairwise_alignment_loss import (
    PairwiseAlignmentLoss,
    align_sides,
)
from pyg_irllrec.nn.loss.translation_alignment_loss import TranslationAlignmentLoss
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_matrix,
    check_not_negative,
    check_rows,
    check_same_shape,
    check_triplets,
)


class LossOutput(NamedTuple):
    r"""A loss and the terms that it is the sum of.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> model = build_model(SyntheticIntents(12, 10, num_intents=2)[0])
        >>> loss = model.loss(torch.tensor([[0, 1], [3, 2], [5, 4]]))
        >>> loss.total.backward()
        >>> list(loss.terms)
        ['l2', 'ranking']
    """

    total: Tensor
    """The scalar to differentiate."""
    terms: dict[str, Tensor]
    """The weighted terms by name, whose sum is :obj:`total`."""


class IntentAlignmentLoss(Module):
    r"""The alignment of graph and text of the `"Intent Representation Learning
    with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper: the weighted sum

    .. math::
        \mathcal{L} = w_1 \mathcal{L}_{\text{profile}} + w_2
        \mathcal{L}_{\text{intent}} + w_3 \mathcal{L}_{\text{translation}} + w_4
        \mathcal{L}_{\text{matching}}

    A pairwise term (profile, intent) is the sum of
    :class:`~pyg_irllrec.nn.PairwiseAlignmentLoss` over the users, the positive items
    and the negative items of a batch of triplets. Terms with weight 0 or without input
    are neither computed nor listed. If no term is left, the total is 0.

    Its parts :obj:`user_profile`, :obj:`item_profile`, :obj:`user_intent`,
    :obj:`item_intent`, :obj:`translation` and :obj:`matching` are modules. Each can be
    replaced by a module that takes the same arguments.

    The authors' settings are :obj:`user_negatives="all"`, :obj:`duplicates=True` and
    :obj:`eps=1e-8`, see :func:`pyg_irllrec.presets.authors_preset`.

    Args:
        profile_weight (float): :math:`w_1`. (default: :obj:`1e-2`)
        intent_weight (float): :math:`w_2`. (default: :obj:`1e-2`)
        translation_weight (float): :math:`w_3`. (default: :obj:`1e-3`)
        matching_weight (float): :math:`w_4`. (default: :obj:`1e-3`)
        profile_temperature (float): :math:`\tau` of the profile term.
            (default: :obj:`0.2`)
        intent_temperature (float): :math:`\tau` of the intent term.
            (default: :obj:`0.2`)
        user_negatives (str): The users whose texts are in the denominator: those of the
            :obj:`"batch"`, or :obj:`"all"`. (default: :obj:`"batch"`)
        item_negatives (str): The same for items. (default: :obj:`"batch"`)
        duplicates (bool): Whether a node that occurs several times in the batch counts
            each time. (default: :obj:`False`)
        negative_item_intents (bool): Whether the intent term includes the negative
            items of a batch. (default: :obj:`True`)
        noise (float): The noise :math:`\sigma` of the translation term.
            (default: :obj:`1.0`)
        eps (float): The constant :math:`\epsilon` in the logarithm of the translation
            term. (default: :obj:`0.0`)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)
        translation_impl (str, optional): The implementation of the translation term,
            which contrasts all nodes with all nodes. :obj:`"moments"` is an
            approximation in linear time. (default: :obj:`None`, the same as
            :obj:`impl`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import IntentAlignmentLoss
        >>> loss_fn = IntentAlignmentLoss(translation_weight=0, matching_weight=0)
        >>> z, r, p, q = torch.randn(4, 7, 16)  # 3 users and 4 items
        >>> triplets = torch.tensor([[0, 2], [3, 1], [0, 2]])
        >>> texts = {'profile': p, 'text_intent': q, 'interaction_intent': r}
        >>> loss = loss_fn(z, triplets, num_users=3, **texts)
        >>> sorted(loss.terms)
        ['intent', 'profile']
    """

    def __init__(
        self,
        profile_weight: float = 1e-2,
        intent_weight: float = 1e-2,
        translation_weight: float = 1e-3,
        matching_weight: float = 1e-3,
        *,
        profile_temperature: float = 0.2,
        intent_temperature: float = 0.2,
        user_negatives: str = 'batch',
        item_negatives: str = 'batch',
        duplicates: bool = False,
        negative_item_intents: bool = True,
        noise: float = 1.0,
        eps: float = 0.0,
        impl: str = 'auto',
        translation_impl: Optional[str] = None,
    ) -> None:
        super().__init__()
        self.weights = {
            'profile': profile_weight,
            'intent': intent_weight,
            'translation': translation_weight,
            'matching': matching_weight,
        }
        for name, weight in self.weights.items():
            check_not_negative(f'{name}_weight', weight)
        check_temperature('profile_temperature', profile_temperature)
        check_temperature('intent_temperature', intent_temperature)
        check_choice('user_negatives', user_negatives, ('batch', 'all'))
        check_choice('item_negatives', item_negatives, ('batch', 'all'))
        check_flag('negative_item_intents', negative_item_intents)

        def pairwise(temperature: float, negatives: str) -> PairwiseAlignmentLoss:
            return PairwiseAlignmentLoss(temperature, negatives, duplicates, impl)

        self.user_profile = pairwise(profile_temperature, user_negatives)
        self.item_profile = pairwise(profile_temperature, item_negatives)
        self.user_intent = pairwise(intent_temperature, user_negatives)
        self.item_intent = pairwise(intent_temperature, item_negatives)
        self.translation = TranslationAlignmentLoss(
            noise=noise,
            eps=eps,
            impl=impl if translation_impl is None else translation_impl,
        )
        self.matching = InteractionTextMatchingLoss()
        self.negative_item_intents = negative_item_intents

    def reads_batch_only(self) -> bool:
        r"""Whether the pairwise terms read only the texts of the nodes in a batch: both
        sides take their negatives from the batch, and no part is replaced."""
        users, items = self.user_profile, self.item_profile
        intents = self.user_intent, self.item_intent
        return (
            is_plain(self, IntentAlignmentLoss)
            and is_plain(users, PairwiseAlignmentLoss, items, *intents)
            and users.negatives == items.negatives == 'batch'
            and intents[0].negatives == intents[1].negatives == 'batch'
        )

    def needs_all_intents(self) -> bool:
        r"""Whether a term reads the intent texts of all nodes."""
        return self.weights['translation'] > 0 or self.weights['matching'] > 0

    def forward(
        self,
        embedding: Tensor,
        triplets: Tensor,
        num_users: int,
        *,
        profile: Optional[Tensor] = None,
        interaction_intent: Optional[Tensor] = None,
        text_intent: Optional[Tensor] = None,
        teacher_intent: Optional[Tensor] = None,
        generator: Optional[torch.Generator] = None,
    ) -> LossOutput:
        r"""Return the alignment loss of a batch.

        All node tensors have shape :math:`(|\mathcal{V}|, d)`: users first, then items.

        Args:
            embedding (torch.Tensor): Graph embeddings :math:`\mathbf{z}`.
            triplets (torch.Tensor): User, positive item and negative item ids, which
                start at 0 for each side, of shape :math:`(3, B)`.
            num_users (int): The number of users.
            profile (torch.Tensor, optional): Projected profile texts
                :math:`\mathbf{p}`. If :meth:`reads_batch_only` is true, they may also
                be those of :obj:`triplets`, of shape :math:`(3, B, d)`.
                (default: :obj:`None`)
            interaction_intent (torch.Tensor, optional): Interaction intents
                :math:`\mathbf{r}`. (default: :obj:`None`)
            text_intent (torch.Tensor, optional): Projected intent texts
                :math:`\mathbf{q}`. If :meth:`reads_batch_only` is true and
                :meth:`needs_all_intents` is false, they may also be those of
                :obj:`triplets`, of shape :math:`(3, B, d)`. (default: :obj:`None`)
            teacher_intent (torch.Tensor, optional): The teacher's intent texts
                :math:`\bar{\mathbf{q}}`. (default: :obj:`None`)
            generator (torch.Generator, optional): The random number generator of the
                noise. (default: :obj:`None`, torch's default generator)

        Raises:
            ValueError: If a shape, dtype or id is invalid.
        """
        weights = self.weights
        check_matrix('embedding', embedding)
        num_nodes = embedding.size(0)
        if not 0 < num_users < num_nodes:
            raise ValueError(
                f"'num_users' must be from 1 to {num_nodes - 1} for 'embedding' with "
                f'{num_nodes} rows, users and items, got {num_users}'
            )
        check_triplets(triplets, num_users, num_nodes - num_users)
        translated = embedding if weights['translation'] > 0 else None
        # Tensors with one row per id are checked by _are_rows().
        read = None if self._are_rows(profile, embedding, triplets) else profile
        everywhere = text_intent
        if not self.needs_all_intents() and self._are_rows(
            text_intent, interaction_intent, triplets
        ):
            everywhere = None
        _check_shapes(
            num_nodes,
            ('profile', read, 'embedding', embedding),
            ('text_intent', everywhere, 'embedding', translated),
            ('interaction_intent', interaction_intent, 'text_intent', everywhere),
            ('teacher_intent', teacher_intent, 'text_intent', everywhere),
        )
        terms: dict[str, Tensor] = {}
        parts = self.user_profile, self.item_profile, self.user_intent, self.item_intent
        once = not all([getattr(part, 'duplicates', True) for part in parts])
        batch = make_batch(triplets, num_users, wide_dtype(embedding) if once else None)
        if profile is not None and weights['profile'] > 0:
            terms['profile'] = align_sides(
                *(self.user_profile, self.item_profile, embedding, profile),
                *(triplets, num_users, batch),
            )
        if text_intent is not None:
            if interaction_intent is not None and weights['intent'] > 0:
                num_rows = 3 if self.negative_item_intents else 2
                given = (
                    text_intent[:num_rows] if text_intent.dim() == 3 else text_intent
                )
                terms['intent'] = align_sides(
                    *(self.user_intent, self.item_intent, interaction_intent, given),
                    *(triplets[:num_rows], num_users, batch.first_rows(num_rows)),
                )
            if weights['translation'] > 0:
                pair = text_intent, embedding, generator
                if is_plain(self.translation, TranslationAlignmentLoss):
                    terms['translation'] = self.translation._unchecked(*pair)
                else:
                    terms['translation'] = self.translation(*pair)
            if teacher_intent is not None and weights['matching'] > 0:
                both = text_intent, teacher_intent
                if is_plain(self.matching, InteractionTextMatchingLoss):
                    terms['matching'] = self.matching._unchecked(*both)
                else:
                    terms['matching'] = self.matching(*both)
        terms = {name: weights[name] * term for name, term in terms.items()}
        if terms:
            return LossOutput(torch.stack(list(terms.values())).sum(), terms)
        # An empty sum, which can be differentiated.
        return LossOutput(embedding[:0].sum(dtype=wide_dtype(embedding)), terms)

    def _are_rows(
        self, text: Optional[Tensor], nodes: Optional[Tensor], triplets: Tensor
    ) -> bool:
        r"""Whether :obj:`text` has one row per id of the batch, is as wide as
        :obj:`nodes`, and no other texts are read."""
        return (
            isinstance(text, Tensor)
            and text.dim() == 3
            and isinstance(nodes, Tensor)
            and text.shape == (*triplets.shape, nodes.size(-1))
            and text.is_floating_point()
            and self.reads_batch_only()
        )

    def extra_repr(self) -> str:
        r"""The weights."""
        shown = [f'{name}_weight={weight}' for name, weight in self.weights.items()]
        if not self.negative_item_intents:
            shown.append('negative_item_intents=False')
        return ', '.join(shown)


def _check_shapes(
    num_nodes: int, *values: tuple[str, Optional[Tensor], str, Optional[Tensor]]
) -> None:
    r"""Raise a :class:`ValueError` unless each value has one row per node and the shape
    of the tensor that follows it."""
    for name, value, other_name, other in values:
        if value is None:
            continue
        if (  # The test of check_rows(), without a call.
            not isinstance(value, Tensor)
            or value.dim() != 2
            or value.size(0) != num_nodes
            or not value.is_floating_point()
        ):
            check_rows(name, value, num_nodes)
        if other is not None and value.shape != other.shape:
            check_same_shape(name, value, other_name, other)
