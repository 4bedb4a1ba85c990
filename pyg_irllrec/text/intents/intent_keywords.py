from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from pyg_irllrec.utils.argument_checks import each_of
from pyg_irllrec.utils.checks import check_count, check_finite, check_matrix

_TERM = r'(?u)\b(?!\d+\b)\w\w+\b'


def intent_keywords(
    texts: Sequence[str], assignment: Tensor, num_words: int = 4
) -> list[list[str]]:
    r"""Describe latent intents in words. The terms of an intent have a higher mean
    TF-IDF weight in the texts of its nodes than in all texts. Numbers, such as years,
    do not count as terms.

    Args:
        texts (sequence of str): One text per node, :math:`N` in total.
        assignment (torch.Tensor): The share of each intent in each node, of shape
            :math:`(N, K)`, such as the result of
            :meth:`~pyg_irllrec.nn.IntentPrototypes.assign`.
        num_words (int): The number of terms per intent. (default: :obj:`4`)

    Returns:
        The terms of each of the :math:`K` intents, the most specific term first.

    Raises:
        ValueError: If the shapes do not match, or no text contains a word.

    Example:
        >>> import torch
        >>> from pyg_irllrec.text import intent_keywords
        >>> texts = ['calm sea', 'calm lake', 'loud city', 'loud club']
        >>> assignment = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
        >>> intent_keywords(texts, assignment, num_words=1)
        [['calm'], ['loud']]
    """
    check_matrix('assignment', assignment)
    check_finite('assignment', assignment)
    check_count('num_words', num_words)
    texts = list(each_of('texts', texts, str))
    if len(texts) != assignment.size(0):
        raise ValueError(
            f"'texts' must hold one text per node, {assignment.size(0)}, got "
            f'{len(texts)}'
        )
    vectorizer = TfidfVectorizer(
        stop_words='english', sublinear_tf=True, token_pattern=_TERM
    )
    try:
        weight = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise ValueError(f"'texts' must hold words: {error}") from None
    terms = vectorizer.get_feature_names_out()
    share = assignment.detach().double().cpu().numpy()
    lean = np.clip(share - share.mean(axis=0), 0, None)
    lean /= np.maximum(lean.sum(axis=0), np.finfo(float).tiny)
    score = lean.T @ weight - np.asarray(weight.mean(axis=0))
    best = np.argsort(-score, axis=1, kind='stable')[:, :num_words]
    return [[str(terms[t]) for t in row] for row in best]
