"""One gradient a person from one ordinary backward pass, at about the cost of an ordinary gradient.

An ordinary backward pass gives a layer two things: the gradient of its input, and the gradient of its weights summed
over everybody. Hooks, as in Opacus [1], let it do both and then work out the weights' gradient again for each person.
Here the layer is told to do the first only, and the person gradients take the place of the second. For a Linear layer
both are the same multiplications, ``output_gradient^T @ input``, batched over people instead of summed.

What is held for a Linear layer until the step is over is whatever is smaller, by shapes alone:

- *keep*: the gradient of each person, [people, outputs, inputs], if tokens are many;
- *recompute*: input and output gradient, [people, tokens, inputs + outputs], if the layer is wide. The gradient is then
  worked out twice, once for its norm and once for the sum, by the same multiplication with the same result, so that
  the bound on a person holds as exactly.

Ghost clipping [2] takes norms from ``tokens x tokens`` products instead and clips within one summed multiplication. It
is not offered: it pays where a person has fewer than about 70 tokens in a layer (``benchmarks/private_step.py`` shows
it beside the others), and in float32 its norm is a small difference of large numbers where tokens disagree.

Layers may have any leading dimensions as long as the first is the person, may be used several times in a forward pass,
and may share parameters. Only Linear, LayerNorm and Embedding layers may own trainable parameters.

[1] Yousefpour et al., arXiv:2109.12298. [2] Bu et al., "Differentially private optimization on large model at small
cost", arXiv:2210.00038.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from privacy.plan import PrivacyError

Mode = Literal["auto", "keep", "recompute"]
BLOCK: Final = 2**16  # numbers of a gradient that are turned into float64 at once: half a megabyte, as caches hold


class Factors:
    """A Linear weight's gradients as the factors that they are products of; slicing people multiplies them."""

    def __init__(self, inputs: Tensor, outputs: Tensor) -> None:
        """Inputs [people, tokens, inputs] and gradients of the outputs [people, tokens, outputs]."""
        self.shape = (len(inputs), outputs.shape[-1], inputs.shape[-1])
        self._uses = [(inputs, outputs)]
        self._frozen: Tensor | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, people: slice) -> Tensor:
        """The gradients of some people, [people, outputs, inputs]."""
        found = torch.stack([_products(x[people], g[people]) for x, g in self._uses]).sum(0)
        return found if self._frozen is None else found.masked_fill_(self._frozen, 0.0)

    def add(self, inputs: Tensor, outputs: Tensor) -> None:
        """The same weight was used once more."""
        self._uses.append((inputs, outputs))

    def masked_fill_(self, mask: Tensor, value: float) -> "Factors":
        """Fix entries of the weight to ``value``, which is 0, for everybody."""
        assert value == 0.0
        self._frozen = mask
        return self


PersonGradient = Tensor | Factors
"""One parameter's gradients, [people, *shape]: ``shape``, ``len`` and slices of people are what both have."""


def in_blocks(gradient: PersonGradient) -> Iterator[tuple[slice, Tensor]]:
    """A few people at a time and their gradients in float64, [people, numbers of the parameter].

    What is yielded is overwritten by the next: fresh memory for every block would cost more than the arithmetic.
    """
    numbers = prod(gradient.shape[1:])
    at_once = max(1, BLOCK // max(1, numbers))
    room: Tensor | None = None
    for start in range(0, len(gradient), at_once):
        people = slice(start, start + at_once)
        some = gradient[people].flatten(1)
        room = some.new_empty(at_once, numbers, dtype=torch.float64) if room is None else room
        yield people, room[: len(some)].copy_(some)


class PersonGradients:
    """Lets a module's backward passes leave a gradient a person, and none in ``grad``, until it is taken off again.

    The module's state dict, its layers and what they return stay as they are. Passes under ``torch.no_grad`` are not
    looked at.
    """

    def __init__(self, module: nn.Module, mode: Mode = "auto") -> None:
        """Attach to every layer that owns trainable parameters.

        Args:
            module: Returns a loss per window, [people, windows]; see the module's docstring for what it may be made of.
            mode: What to hold of Linear layers; "auto" is what is smaller.

        Raises:
            PrivacyError: If the module mixes people, has layers of another kind, or is attached to already.
        """
        check_module(module)
        self._mode = mode
        self._passes = 0
        self._open: dict[int, int] = {}
        self._found: dict[int, PersonGradient] = {}
        self._layers = [layer for layer in module.modules() if _owns(layer)]
        for layer in self._layers:
            layer.forward = partial(self._forward, layer, layer.forward)  # hides the class's until it is deleted
        self._root = module.register_forward_hook(self._undo_mean)

    def detach(self) -> None:
        """Make the module an ordinary one again."""
        self._root.remove()
        for layer in self._layers:
            vars(layer).pop("forward", None)
        self._layers = []
        self.begin()

    def begin(self) -> None:
        """Forget every pass so far."""
        self._passes = 0
        self._open = {}
        self._found = {}

    def zero(self) -> None:
        """Forget the gradients so far; a forward pass that has not gone backward yet still may."""
        if any(self._open.values()):
            self._found = {}
        else:
            self.begin()

    def of(self, parameter: Tensor) -> PersonGradient | None:
        """The gradients of each person's mean loss, [people, *shape]; None without exactly one whole backward pass."""
        whole = self._passes == 1 and self._open.get(id(parameter)) == 0
        return self._found.get(id(parameter)) if whole else None

    def _undo_mean(self, module: nn.Module, _inputs: Any, loss: Tensor) -> Tensor | None:
        """Behind the forward pass: the loop averages over people, and a person's gradient is that of its own mean."""
        del module
        if not torch.is_grad_enabled():
            return None
        self._passes += 1
        return _Times.apply(loss, len(loss))  # type: ignore[no-any-return, no-untyped-call]

    def _forward(self, layer: nn.Module, ordinary: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return ordinary(x)
        self._count(layer, 1)
        bias = getattr(layer, "bias", None)
        return _KINDS[type(layer)].apply(self, layer, x, layer.weight, bias)  # type: ignore[no-any-return]

    def _count(self, layer: nn.Module, uses: int) -> None:
        """Uses of the layer's parameters that went forward and not yet backward; negative if one did so twice."""
        for parameter in layer.parameters(recurse=False):
            self._open[id(parameter)] = self._open.get(id(parameter), 0) + uses

    def _add(self, parameter: Tensor | None, gradient: Callable[[], Tensor]) -> None:
        """Add one use's gradients [people, *shape] to the parameter's, if it is trained."""
        if parameter is None or not parameter.requires_grad:
            return
        known = self._found.get(id(parameter))
        self._found[id(parameter)] = gradient() if known is None else known[:] + gradient()

    def _add_product(self, weight: Tensor, x: Tensor, g: Tensor) -> None:
        """Add one use of a Linear weight: inputs [people, tokens, inputs], gradients of outputs likewise."""
        known = self._found.get(id(weight))
        if isinstance(known, Factors):
            known.add(x, g)
        elif known is None and weight.requires_grad and self._recomputes(x, g):
            self._found[id(weight)] = Factors(x, g)
        else:
            self._add(weight, lambda: _products(x, g))

    def _recomputes(self, x: Tensor, g: Tensor) -> bool:
        if self._mode != "auto":
            return self._mode == "recompute"
        tokens, inputs, outputs = x.shape[1], x.shape[2], g.shape[2]
        return inputs * outputs > tokens * (inputs + outputs)


class _Times(torch.autograd.Function):
    """The identity, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return g * ctx.factor, None


class _Linear(torch.autograd.Function):
    """A Linear layer whose backward pass leaves person gradients instead of their sum."""

    @staticmethod
    def forward(ctx: Any, record: PersonGradients, layer: nn.Linear, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.record, ctx.layer = record, layer
        ctx.save_for_backward(x, w, b)
        return F.linear(x, w, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w, b = ctx.saved_tensors
        outputs = _by_token(g)
        ctx.record._add_product(w, _by_token(x.detach()), outputs)
        ctx.record._add(b, lambda: outputs.sum(1))
        ctx.record._count(ctx.layer, -1)
        return None, None, g @ w if ctx.needs_input_grad[2] else None, None, None


class _LayerNorm(torch.autograd.Function):
    """A LayerNorm, likewise."""

    @staticmethod
    def forward(
        ctx: Any, record: PersonGradients, layer: nn.LayerNorm, x: Tensor, w: Tensor, b: Tensor | None
    ) -> Tensor:
        y, mean, scale = torch.native_layer_norm(x, layer.normalized_shape, w, b, layer.eps)
        ctx.record, ctx.layer = record, layer
        ctx.save_for_backward(x, mean, scale, w, b)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, scale, w, b = ctx.saved_tensors
        shape = ctx.layer.normalized_shape
        between = list(range(1, g.dim() - len(shape)))  # all but the person and what is normalised

        def summed(t: Tensor) -> Tensor:
            return t.sum(between) if between else t

        ctx.record._add(w, lambda: summed((x.detach() - mean).mul_(scale).mul_(g)))
        ctx.record._add(b, lambda: summed(g))
        ctx.record._count(ctx.layer, -1)
        if not ctx.needs_input_grad[2]:
            return None, None, None, None, None
        wanted = [True, False, False]
        back = torch.ops.aten.native_layer_norm_backward(g.contiguous(), x, shape, mean, scale, w, b, wanted)
        return None, None, back[0], None, None


class _Embedding(torch.autograd.Function):
    """An Embedding, likewise."""

    @staticmethod
    def forward(ctx: Any, record: PersonGradients, layer: nn.Embedding, i: Tensor, w: Tensor, _: None) -> Tensor:
        ctx.record, ctx.layer = record, layer
        ctx.save_for_backward(i, w)
        return F.embedding(i, w)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        i, w = ctx.saved_tensors
        ctx.record._add(w, lambda: _by_row(i, g, len(w)))
        ctx.record._count(ctx.layer, -1)
        return None, None, None, None, None


_KINDS: Final[dict[type[nn.Module], type[torch.autograd.Function]]] = {
    nn.Linear: _Linear,
    nn.LayerNorm: _LayerNorm,
    nn.Embedding: _Embedding,
}


def _by_token(t: Tensor) -> Tensor:
    """[people, ..., width] -> [people, tokens, width]."""
    return t.reshape(len(t), prod(t.shape[1:-1]), t.shape[-1])


def _products(x: Tensor, g: Tensor) -> Tensor:
    """Inputs [people, tokens, inputs] and gradients [people, tokens, outputs] -> [people, outputs, inputs]."""
    return torch.bmm(g.transpose(1, 2), x)


def _by_row(i: Tensor, g: Tensor, rows: int) -> Tensor:
    """Gradients ``g`` [people, ..., width] of rows ``i`` [people, ...] -> summed by row, [people, rows, width]."""
    people, width = len(i), g.shape[-1]
    place = i + (torch.arange(people, device=i.device) * rows).view(-1, *[1] * (i.dim() - 1))
    index = place.reshape(-1, 1).expand(-1, width)
    return g.new_zeros(people * rows, width).scatter_add_(0, index, g.reshape(-1, width)).view(people, rows, width)


def _owns(layer: nn.Module) -> bool:
    return any(p.requires_grad for p in layer.parameters(recurse=False))


def check_module(module: nn.Module) -> None:
    """Refuses layers that mix or remember people, or whose person gradients are not known here.

    Raises:
        PrivacyError: The message names the layer.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm):
            raise PrivacyError(f"layer {name!r} is a {type(layer).__name__}, which mixes people: use a LayerNorm")
        if isinstance(layer, _NormBase) and layer.track_running_stats:
            raise PrivacyError(f"layer {name!r} keeps running averages of people: give track_running_stats=False")
        if not _owns(layer):
            continue
        if type(layer) not in _KINDS:
            raise PrivacyError(
                f"layer {name!r} of type {type(layer).__name__} owns parameters but has no person gradients: "
                "keep them in Linear, LayerNorm or Embedding layers"
            )
        if isinstance(layer, nn.Embedding) and (
            layer.padding_idx is not None or layer.max_norm is not None or layer.scale_grad_by_freq or layer.sparse
        ):
            raise PrivacyError(f"layer {name!r} is an Embedding with options, expected a plain one")
        if "forward" in vars(layer):
            raise PrivacyError(f"layer {name!r} has a forward of its own: is the module in a private loop already?")
