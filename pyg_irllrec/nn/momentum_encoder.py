from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.nn.inits import reset

from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.checks import is_number


class MomentumEncoder(Module):
    r"""A module and its momentum teacher, a copy that follows it slowly, from the
    `"Momentum Contrast for Unsupervised Visual Representation Learning"
    <https://arxiv.org/abs/1911.05722>`_ paper (Equation 2):

    .. math::
        \theta_{\text{teacher}} \leftarrow m \, \theta_{\text{teacher}} +
        (1 - m) \, \theta

    The teacher starts as an exact copy. Floating-point buffers, such as running
    statistics, follow in the same way as parameters; other buffers are copied. The
    weights of the teacher are buffers: they are saved, restored and moved with the
    model, but :meth:`parameters` does not return them, so no optimizer, weight decay or
    gradient clipping can change them. The teacher always runs in evaluation mode and
    without gradients.

    Args:
        encoder (torch.nn.Module): The module to train.
        momentum (float): :math:`m`, from 0 (always a copy) to 1 (frozen).
            (default: :obj:`0.999`)

    Raises:
        ValueError: If :obj:`encoder` is not a module or :obj:`momentum` is out of
            range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import MomentumEncoder
        >>> model = MomentumEncoder(torch.nn.Linear(8, 4), momentum=0.99)
        >>> x = torch.randn(5, 8)
        >>> student, teacher = model(x), model.teach(x)
        >>> student.requires_grad, teacher.requires_grad
        (True, False)
        >>> model.update()  # after each optimizer step
    """

    def __init__(self, encoder: Module, momentum: float = 0.999) -> None:
        super().__init__()
        if not isinstance(encoder, Module):
            raise ValueError(
                f"'encoder' must be a torch.nn.Module, got {type(encoder).__name__}"
            )
        if not is_number(momentum) or not 0 <= momentum <= 1:
            raise ValueError(f"'momentum' must be from 0 to 1, got {momentum!r}")
        self.momentum = momentum
        self.encoder = encoder
        self.teacher = _as_buffers(deepcopy(encoder)).eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        r"""Return the output of the trained encoder."""
        return self.encoder(*args, **kwargs)

    @torch.no_grad()
    def teach(self, *args: Any, **kwargs: Any) -> Any:
        r"""Return the output of the teacher, without gradients."""
        return self.teacher(*args, **kwargs)

    @torch.no_grad()
    def update(self) -> None:
        r"""Move the teacher one step towards the encoder. Call this once per optimizer
        step."""
        teacher, encoder = self._tensors()
        smooth: list[Tensor] = []
        target: list[Tensor] = []
        for name, value in teacher.items():
            if value.is_floating_point():
                smooth.append(value)
                target.append(encoder[name])
            else:
                value.copy_(encoder[name])
        if smooth:
            torch._foreach_lerp_(smooth, target, 1 - self.momentum)

    def reset_parameters(self) -> None:
        r"""Reset the encoder by :func:`torch_geometric.nn.inits.reset`, and make the
        teacher an exact copy of it."""
        reset(self.encoder)
        self.reset_teacher()

    @torch.no_grad()
    def reset_teacher(self) -> None:
        r"""Make the teacher an exact copy of the encoder."""
        teacher, encoder = self._tensors()
        for name, value in teacher.items():
            value.copy_(encoder[name])

    def _tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        r"""Return the tensors of the teacher, each once, and those of the encoder under
        all their names. Weights that are tied in the encoder may not be tied in the
        teacher, because moving a module unties buffers."""
        encoder = {
            **dict(self.encoder.named_parameters(remove_duplicate=False)),
            **dict(self.encoder.named_buffers(remove_duplicate=False)),
        }
        return dict(self.teacher.named_buffers()), encoder

    def train(self, mode: bool = True) -> MomentumEncoder:
        r"""Set the mode of the encoder; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)


def _as_buffers(module: Module) -> Module:
    buffers: dict[int, Tensor] = {}  # Tied weights stay tied.
    for child in module.modules():
        for name, parameter in list(child._parameters.items()):
            del child._parameters[name]
            value = None
            if parameter is not None:
                value = buffers.setdefault(id(parameter), parameter.detach())
            child.register_buffer(name, value)
    return module
