from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, Optional

from pyg_irllrec.nn import IntentNodeBackbone, Recommender, RLMRecGen
from pyg_irllrec.serving._save import fingerprint_of, versions
from pyg_irllrec.utils.checks import is_number

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

_TEXTS = ('profile', 'intent', 'features')


def info_of(bundle: Bundle) -> dict[str, Any]:
    r"""Describe a bundle, see :meth:`Bundle.info`."""
    model, backbone = bundle.model, bundle.model.backbone
    if isinstance(backbone, IntentNodeBackbone):
        backbone = backbone.backbone
    return {
        'users': len(bundle.users),
        'items': len(bundle.items),
        'interactions': int(bundle.seen.item.numel()),
        'model': type(model).__name__,
        'backbone': type(backbone).__name__,
        'alignment': _alignment(model),
        'texts': [name for name in _TEXTS if getattr(model, name, None) is not None],
        'blend': blend_of(model),
        'parameters': sum(each.numel() for each in model.parameters()),
        'encoder': None if bundle.encoder is None else repr(bundle.encoder),
        'device': str(model.device),
        'metrics': dict(bundle.metrics),
        'min_rating': bundle.min_rating,
        'fingerprint': fingerprint_of(bundle),
        'saved': None,
        'bytes': None,
        'versions': versions(),
        **bundle.saved,
    }


def blend_of(model: Recommender) -> dict[str, float]:
    r"""Return the weights of the graph and of each companion in the scores; empty
    without companions."""
    if model.blend_weight is None:
        return {}
    names = ['graph', *(type(each).__name__ for each in model.companions)]
    weights = (round(weight, 3) for weight in model.blend_weight.tolist())
    return dict(zip(names, weights))


def check_metrics(metrics: object) -> dict[str, float]:
    r"""Check metrics by name and convert their values to floats."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping) or not all(
        isinstance(name, str)
        and isinstance(value, Real)
        and not isinstance(value, bool)
        for name, value in metrics.items()
    ):
        raise ValueError(
            "'metrics' must be a dictionary from names to numbers, such as "
            f"{{'recall@20': 0.25}}, got {metrics!r}"
        )
    return {name: float(value) for name, value in metrics.items()}


def check_min_rating(min_rating: Optional[float]) -> Optional[float]:
    r"""Check the lowest rating that counts as liked and convert it to a float."""
    if min_rating is None:
        return None
    if not is_number(min_rating) or not math.isfinite(min_rating):
        raise ValueError(f"'min_rating' must be a number, got {min_rating!r}")
    return float(min_rating)


def _alignment(model: Recommender) -> str:
    if isinstance(model, RLMRecGen):
        return 'reconstruction'
    weights = getattr(getattr(model, 'alignment', None), 'weights', {})
    is_used = {
        name: weights.get(name, 0) > 0
        for name in ('profile', 'intent', 'translation', 'matching')
    }
    if getattr(model, 'intent', None) is not None:
        if is_used['translation'] or is_used['matching']:
            return 'full'
        if is_used['intent']:
            return 'intents'
    has_profile = getattr(model, 'profile', None) is not None
    return 'profile' if has_profile and is_used['profile'] else 'none'
