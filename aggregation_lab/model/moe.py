"""Task-conditioned Mixture-of-Experts in place of a transformer block's FFN (arXiv 2603.18123, method).

y = sum_e g_e(x, t) FFN_e(x),  g = softmax over experts of router(x + embedding of task t)

All experts run as two wide matrix products: the hidden units of every expert stand side by side, and the gates
scale each expert's share of them between the products. Shapes: B images, N tokens, D channels, E experts,
H hidden units over all experts.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn

from aggregation_lab.errors import ModelError


class FFN(NamedTuple):
    """The parts of a block's two-layer FFN: D -> H -> D."""

    fc1: nn.Linear
    act: nn.Module
    fc2: nn.Linear


class TaskContext:
    """The task embedding (B x 1 x D) of the batch under way.

    A transformer block hands its FFN nothing but tokens, so the model leaves the batch's tasks here for all its
    MoE layers.
    """

    embedding: Tensor


class MoE(nn.Module):
    """Base of both expert kinds: router, gates, and what is recorded of them.

    After a forward pass `usage` holds the mean gate of each expert per image (B x E, in evaluation mode only) and
    `balance` the load-balance term of top-k routing (Shazeer et al. 2017, Fedus et al. 2021), 1 when balanced.
    """

    def __init__(self, *, dim: int, experts: int, context: TaskContext, top_k: int | None = None):
        super().__init__()
        self.experts = experts
        self.top_k = top_k
        self.router = nn.Linear(dim, experts)
        nn.init.zeros_(self.router.bias)
        self.context = context
        self.usage = torch.zeros(0, experts)
        self.balance: Tensor | None = None

    def gates(self, x: Tensor) -> Tensor:
        """Gate of each expert for each token, in float32, summing to 1: B x N x D -> B x N x E."""
        probabilities = self.router(x + self.context.embedding).float().softmax(-1)
        gates = probabilities
        if self.top_k is not None:
            kept = torch.zeros_like(gates).scatter_(-1, gates.topk(self.top_k, dim=-1).indices, 1.0)
            load, importance = kept.mean((0, 1)) / self.top_k, probabilities.mean((0, 1))
            self.balance = self.experts * (load * importance).sum()
            gates = gates * kept
            gates = gates / gates.sum(-1, keepdim=True)
        if not self.training:
            self.usage = gates.detach().mean(1)
        return gates


class SplitExperts(MoE):
    """The FFN's hidden units divided among the experts: no parameter added but the router's.

    The router starts at zero, so every gate is 1/E; gates are scaled by E, so the layer starts as the plain FFN.
    """

    def __init__(self, ffn: FFN, *, experts: int, context: TaskContext):
        super().__init__(dim=ffn.fc1.in_features, experts=experts, context=context)
        if ffn.fc1.out_features % experts:
            raise ModelError(
                f"model.moe.experts: {experts} does not divide the encoder's {ffn.fc1.out_features} hidden units"
            )
        nn.init.zeros_(self.router.weight)
        self.fc1, self.act, self.fc2 = ffn.fc1, ffn.act, ffn.fc2

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.act(self.fc1(x)).unflatten(-1, (self.experts, -1))
        return self.fc2(_scaled(hidden, self.experts * self.gates(x)).flatten(-2))


class CopiedExperts(MoE):
    """Every expert starts as the whole FFN. Gates sum to 1, so the layer starts as the plain FFN.

    The router starts random: equal experts under equal gates would receive equal gradients and never part.
    """

    def __init__(self, ffn: FFN, *, experts: int, context: TaskContext, top_k: int | None = None):
        dim, hidden = ffn.fc1.in_features, ffn.fc1.out_features
        super().__init__(dim=dim, experts=experts, context=context, top_k=top_k)
        nn.init.normal_(self.router.weight, std=dim**-0.5)
        self.act = ffn.act
        self.fc1 = nn.Linear(dim, experts * hidden)
        self.fc2 = nn.Linear(experts * hidden, dim, bias=False)
        with torch.no_grad():
            self.fc1.weight.copy_(ffn.fc1.weight.repeat(experts, 1))
            self.fc1.bias.copy_(ffn.fc1.bias.repeat(experts))
            self.fc2.weight.copy_(ffn.fc2.weight.repeat(1, experts))
        self.fc2_bias = nn.Parameter(ffn.fc2.bias.detach().repeat(experts, 1))  # E x D

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gates(x)
        hidden = self.act(self.fc1(x)).unflatten(-1, (self.experts, -1))
        return self.fc2(_scaled(hidden, gates).flatten(-2)) + F.linear(gates, self.fc2_bias.T)


def _scaled(hidden: Tensor, gates: Tensor) -> Tensor:
    """Every expert's share of the hidden units times its gate, in the precision of the hidden units: in mixed
    precision a product in float32 would be several times as slow, and rounded for the next layer all the same."""
    return hidden * gates.to(hidden.dtype).unsqueeze(-1)


def _two_layers(ffn: Mlp) -> FFN | None:
    """The parts of an FFN that is W2 act(W1 x + b1) + b2 and nothing else; None of any other."""
    first, second = ffn.fc1, ffn.fc2
    if not (isinstance(first, nn.Linear) and isinstance(second, nn.Linear)):
        return None
    biased = first.bias is not None and second.bias is not None
    plain = isinstance(ffn.norm, nn.Identity) and not (ffn.drop1.p or ffn.drop2.p)
    return FFN(first, ffn.act, second) if biased and plain else None


def build_moe(ffn: nn.Module | None, *, kind: str, experts: int, context: TaskContext, top_k: int | None) -> MoE:
    """Experts made from a block's FFN. Raises `ModelError` where the FFN is not a plain two-layer one."""
    parts = _two_layers(ffn) if isinstance(ffn, Mlp) else None
    if parts is None:
        found = "has a norm or no biases" if isinstance(ffn, Mlp) else "is missing"
        found = found if isinstance(ffn, Mlp | None) else f"is a {type(ffn).__name__}"
        raise ModelError(
            f"model.moe: the encoder's FFN {found}, experts need a plain two-layer FFN; "
            "set experts: 0 or take another encoder"
        )
    if kind == "split":
        return SplitExperts(parts, experts=experts, context=context)
    return CopiedExperts(parts, experts=experts, context=context, top_k=top_k)
