from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from pyg_irllrec.utils.checks import check_matrix, check_positive


def intent_keywords(
    texts: Sequence[str], assignment: Tensor, num_words: int = 4
) -> list[list[str]]:
    r"""Latent intents in words: the terms that are more frequent, by TF-IDF, in the
    texts of the nodes that lean to an intent than in all texts.

    Args:
        texts (sequence of str): A text a node.
        assignment (torch.Tensor): Each node's share of every intent, such as
            :meth:`~pyg_irllrec.nn.IntentPrototypes.assign` gives, of shape
            :math:`(N, K)`.
        num_words (int): How many terms describe an intent. (default: :obj:`4`)

    Returns:
        For each of the :math:`K` intents its terms, the most telling first.

    Raises:
        ValueError: If shapes do not fit or no text holds a word.
    """
    check_matrix('assignment', assignment)
    check_positive('num_words', num_words)
    if len(texts) != assignment.size(0):
        raise ValueError(
            f"'texts' must hold a text a node, {assignment.size(0)}, got {len(texts)}"
        )
    vectorizer = TfidfVectorizer(stop_words='english', sublinear_tf=True)
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
