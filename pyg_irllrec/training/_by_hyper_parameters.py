from __future__ import annotations

_MESSAGES = (
    *('training diverged', 'must be finite'),
    *("'max_bytes' must", "'l2_weight' must be larger"),
)


def by_hyper_parameters(error: ValueError) -> bool:
    r"""Return whether hyper-parameters have caused an error: training has diverged, or
    EASE needs more memory or a larger weight. A search records it as a failed trial;
    other errors are raised."""
    return any(words in str(error) for words in _MESSAGES)
