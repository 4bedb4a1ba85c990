r"""Bundles on the Hugging Face Hub, through huggingface_hub's mixin. The library is
imported on first use."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import torch

from pyg_irllrec.nn import Recommender
from pyg_irllrec.typing import PathLike, TextEncoder
from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_name
from pyg_irllrec.utils.as_device import as_device
from pyg_irllrec.utils.optional import import_optional

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

_PATTERNS = ['bundle.json', '*.safetensors', '*.parquet']
_CARD = """---
{{ card_data }}
---

# {{ title }}

A recommender trained with [pyg_irllrec](https://pypi.org/project/pyg-irllrec/):
{{ model }} on {{ backbone }}, with {{ users }} users, {{ items }} items and
{{ interactions }} interactions.

```python
from pyg_irllrec.serving import Bundle

bundle = Bundle.from_pretrained({{ name }})
bundle.recommend([{{ user }}], k=10).to_pandas()
```

{{ metrics }}

| | |
|---|---|
| alignment | {{ alignment }} |
| texts | {{ texts }} |
| blend | {{ blend }} |
| text encoder | {{ encoder }} |
| versions | {{ versions }} |

The files contain user ids and interactions.
"""


def save_pretrained(bundle: Bundle, path: PathLike) -> None:
    r"""Write a bundle and its model card, see :meth:`Bundle.save_pretrained`."""
    folder = as_path('path', path)
    hub = _hub_class('save_pretrained()')
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"'path' must be a folder, got the file {folder}")
    card = _card_fields(bundle, folder.resolve().name)
    hub(bundle).save_pretrained(folder, model_card_kwargs=card)


def push_to_hub(
    bundle: Bundle,
    repo_id: str,
    *,
    private: bool,
    branch: Optional[str],
    token: Optional[str],
    commit_message: str,
) -> str:
    r"""Upload a bundle, see :meth:`Bundle.push_to_hub`."""
    check_name('repo_id', repo_id)
    check_flag('private', private)
    check_name('commit_message', commit_message)
    url: str = _hub_class('push_to_hub()')(bundle).push_to_hub(
        repo_id,
        private=private,
        branch=branch,
        token=token,
        commit_message=commit_message,
        model_card_kwargs=_card_fields(bundle, repo_id),
        # File names differ from bundle to bundle.
        delete_patterns=_PATTERNS,
    )
    return url


def from_pretrained(
    name_or_path: PathLike,
    *,
    device: Union[str, torch.device],
    revision: Optional[str],
    token: Optional[str],
    cache_dir: Optional[PathLike],
    local_files_only: bool,
    model: Optional[Recommender],
    encoder: Optional[TextEncoder],
) -> Bundle:
    r"""Read or download a bundle, see :meth:`Bundle.from_pretrained`."""
    as_path('name_or_path', name_or_path)
    check_flag('local_files_only', local_files_only)
    as_device(device)
    path = Path(name_or_path)
    if not path.is_dir():
        hub = import_optional('huggingface_hub', 'from_pretrained()', 'hub')
        try:
            path = Path(
                hub.snapshot_download(
                    str(name_or_path),
                    revision=revision,
                    token=token,
                    cache_dir=cache_dir,
                    local_files_only=local_files_only,
                    allow_patterns=_PATTERNS,
                )
            )
        except (hub.errors.HfHubHTTPError, ValueError, OSError) as error:
            raise ValueError(
                f"'name_or_path' must be a folder or a readable repository, got "
                f'{str(name_or_path)!r}: {str(error).splitlines()[0]}'
            ) from error
    from pyg_irllrec.serving.load import load

    return load(path, device, model=model, encoder=encoder)


@cache
def _hub_class(needed_by: str) -> Any:
    mixin: Any = import_optional('huggingface_hub', needed_by, 'hub').ModelHubMixin

    class HubBundle(  # type: ignore[call-arg]
        mixin,
        library_name='pyg_irllrec',
        model_card_template=_CARD,
        tags=['recommendation', 'graph', 'pytorch-geometric'],
    ):
        def __init__(self, bundle: Bundle) -> None:
            self.bundle = bundle

        def _save_pretrained(self, save_directory: Path) -> None:
            self.bundle.save(save_directory)

    return HubBundle


def _card_fields(bundle: Bundle, name: str) -> dict[str, Any]:
    info = bundle.info()
    metrics = [f'| {each} | {value:.4f} |' for each, value in info['metrics'].items()]
    head = ['| test metric | value |', '|---|---|'] if metrics else ['No test metrics.']
    blend = (f'{name} {weight}' for name, weight in info['blend'].items())
    return {
        **{field: info[field] for field in ('model', 'backbone', 'users', 'items')},
        'title': name,
        'name': repr(name),
        'user': repr(bundle.users[0]),
        'interactions': info['interactions'],
        'metrics': '\n'.join(head + metrics),
        'alignment': info['alignment'],
        'texts': ', '.join(info['texts']) or 'none',
        'blend': ', '.join(blend) or 'none',
        'encoder': info['encoder'] or 'none',
        'versions': ', '.join(f'{key} {v}' for key, v in info['versions'].items()),
    }
