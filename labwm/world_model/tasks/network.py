"""What a task distribution learns: features of items, and kinds of assays.

Shapes: `q` items, `d` features, `k` kinds of assays, 2 outputs (value, label).
"""

import math
from dataclasses import asdict, dataclass
from typing import Final

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from labwm.world_model.tasks.items import N_COLUMNS

VALUE, LABEL = 0, 1
OUTPUTS: Final = 2
NOISE_FIRST: Final = ((0.04, 0.7), (0.2, 1.1))
"""Noise variances that the kinds start from, of values and of labels."""


@dataclass(frozen=True)
class Shape:
    """Size of a network.

    Attributes:
        hidden: Width of its two layers.
        features: Of an item, `d`.
        kinds: Kinds of assays, `k`.
        dropout: Share of the hidden units left out while learning.
    """

    hidden: int = 320
    features: int = 64
    kinds: int = 8
    dropout: float = 0.1

    def to_json(self) -> dict[str, float]:
        """Return the size as plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Encoded:
    """Items as the network sees them.

    Attributes:
        features: Of equal length, `... x d`.
        means: What each kind expects of each item, `... x 2 x k`.
    """

    features: Tensor
    means: Tensor


class TaskNetwork(nn.Module):
    """Features of items with the hyperparameters of each kind of assay.

    An assay of kind `c` is a draw from a Gaussian process whose mean is `means[c]` and
    whose kernel is `sum_d relevance[c, d] f_d(x) f_d(x') + likeness[c] minmax(x, x') +
    offset[c]`, plus noise; its scale is drawn from an inverse gamma distribution.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        with torch.random.fork_rng(devices=[]):
            # Layers have no generator of their own; the global one is put back.
            torch.manual_seed(seed)  # noqa: TID251
            self._build_encoder(shape)
            self._build_kinds(shape)

    def _build_encoder(self, shape: Shape) -> None:
        hidden = shape.hidden
        self.table = nn.EmbeddingBag(N_COLUMNS, hidden, mode="sum")
        nn.init.normal_(self.table.weight, std=0.15)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.first = nn.LayerNorm(hidden)
        self.layer = nn.Linear(hidden, hidden)
        self.second = nn.LayerNorm(hidden)
        self.to_features = nn.Linear(hidden, shape.features)
        self.to_means = nn.Linear(hidden, OUTPUTS * shape.kinds)
        nn.init.normal_(self.to_means.weight, std=0.01)
        self.dropout = nn.Dropout(shape.dropout)

    def _build_kinds(self, shape: Shape) -> None:
        size = (OUTPUTS, shape.kinds)
        relevance = 0.5 * torch.randn(*size, shape.features)
        self.log_relevance = nn.Parameter(
            relevance - math.log(shape.features) - math.log(2.0)
        )
        self.log_likeness = nn.Parameter(0.7 * torch.randn(size) - 1.0)
        self.log_offset = nn.Parameter(
            torch.tensor([[-1.0], [-2.0]]).repeat(1, size[1])
        )
        noise = torch.tensor(NOISE_FIRST).log()
        steps = torch.linspace(0, 1, shape.kinds)
        grid = noise[:, :1] + (noise[:, 1:] - noise[:, :1]) * steps
        grid[VALUE] = grid[VALUE][torch.randperm(shape.kinds)]
        self.log_noise = nn.Parameter(grid)
        self.log_shape = nn.Parameter(torch.tensor([[1.0], [3.0]]).repeat(1, size[1]))
        scale = torch.tensor([[0.5], [0.0]]).repeat(1, size[1])
        self.log_scale = nn.Parameter(scale + 0.3 * torch.randn(size))
        self.log_share = nn.Parameter(torch.zeros(size))

    def forward(self, counts: csr_array) -> Encoded:
        """Encode items, `q x N_COLUMNS` counts."""
        hidden = self.table(
            torch.as_tensor(counts.indices, dtype=torch.int64),
            torch.as_tensor(counts.indptr[:-1], dtype=torch.int64),
            per_sample_weights=torch.as_tensor(counts.data).float().log1p(),
        )
        hidden = self.dropout(torch.relu(self.first(hidden + self.bias)))
        hidden = self.second(hidden + torch.relu(self.layer(hidden)))
        hidden = self.dropout(hidden)
        features = self.to_features(hidden)
        # Of one length: how far an item is from others is said by direction alone.
        length = features.norm(dim=-1, keepdim=True) + 1e-6
        features = features / length * math.sqrt(self.shape.features)
        means = self.to_means(hidden).view(-1, OUTPUTS, self.shape.kinds)
        return Encoded(features, means)


def rounded(network: TaskNetwork) -> TaskNetwork:
    """Round the weights to what half precision holds, so that saving loses nothing."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    return network
