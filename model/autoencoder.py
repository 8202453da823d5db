"""The masked autoencoder of LSM-2 (AIM) in one file: embed, encode what is seen, decode what is asked, score.

A window of 26 signals is cut into patches, each a *place* on a grid of signals by time. A patch that is wholly missing
(inherited mask) or hidden on purpose (artificial mask) is not seen: the encoder gathers the seen ones to the front,
cuts the sequence to the batch's largest count and masks the rest in attention. So no seen patch is lost, whatever the
gaps, and none is wasted but for the difference between windows. A patch of which some minutes are missing is kept,
and the embedding is told which.

Two decoders. ``full`` is the papers': every place, seen or a learnable mask token, attends to every other [1, 2].
``lean`` asks only about the places that are scored: each is a query of position and mask token that attends to the
encoded patches, and never to other queries, so cost follows what is asked (CrossMAE [3] is the same idea for images).

Predictions start from plain averages of what is seen of the same signal before and after each minute (``anchors``),
which the decoder blends minute by minute; a question is told them, and what every signal did around its time.

LSM-1 [1] is the same class with other options: five-hour windows, patches of five signals, gaps ``filled`` with
straight lines before anything else, positions counted from the window's beginning (no ``clock``), the full decoder, no
anchors. The papers' AIM [2] is another: the full decoder, no anchors, and a fixed ``drop_ratio`` instead of gathering.

Every parameter lives in Linear, LayerNorm or Embedding, so per-person gradients are known; leading dimensions are
free, so that a person's windows can be one record: [people, windows, ...] has the person as dimension 0 throughout.

[1] Narayanswamy et al., ICLR 2025, arXiv:2410.13638. [2] LSM-2, Google Research 2025. [3] Fu et al., arXiv:2401.14391.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.masking import Grid
from model.windows import Batch, fill_gaps
from simulator.randomness import stream_key
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES

Decoder = Literal["lean", "full"]

LARGEST: Final = {  # beyond these a field is a slip of the keyboard, and building the model would end in no memory
    "patch_minutes": MINUTES_PER_DAY,
    "patch_signals": N_SIGNALS,
    "width": 8192,
    "depth": 128,
    "heads": 128,
    "decoder_width": 8192,
    "decoder_depth": 128,
    "decoder_heads": 128,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Shape of a masked autoencoder.

    Attributes:
        window_minutes: Length of a window, a multiple of ``patch_minutes``, at most a day.
        patch_minutes: Minutes of a patch: a part of ten, or a multiple of ten that divides a day.
        patch_signals: Signals of a patch; 26 is padded with rows that are never observed to the next multiple.
        signal_order: All 26 signals in the order of the rows that patches are cut from (``model.ordering``).
        filled: Fill gaps with straight lines instead of telling the model which cells are there, and score what was
            filled in training, as LSM-1 does (section 3.1). What is filled in comes from seen cells alone.
        clock: Positions are times of the day; False: times since the window began.
        drop_ratio: The papers' D: share of places dropped in training before the encoder, all of them unseen; the
            unseen ones left are masked in attention. None: drop every unseen place, keep every seen one. The encoder's
            output is the same either way; what it costs is not.
        width: Encoder width.
        depth: Encoder blocks.
        heads: Encoder heads.
        decoder: "lean" (scored places only, by cross-attention) or "full" (all places, by self-attention).
        decoder_width: Decoder width.
        decoder_depth: Decoder blocks.
        decoder_heads: Decoder heads.
        anchor_minutes: Reaches of the plain averages that predictions start from, see ``MaskedAutoencoder.anchors``; ()
            predicts from nothing, as the papers do.
        ask_every: Training asks every so-manieth of the hidden places that could be scored, beginning at one that the
            mask decides; the full decoder still computes all.
        views: Numbers by which each signal sums up what all signals did around a question's time; 0 tells the questions
            nothing but their place, as the papers do. Without anchors it says nothing.
    """

    window_minutes: int = MINUTES_PER_DAY
    patch_minutes: int = 10
    patch_signals: int = 1
    signal_order: tuple[str, ...] = NAMES
    filled: bool = False
    clock: bool = True
    drop_ratio: float | None = None
    width: int = 192
    depth: int = 4
    heads: int = 4
    decoder: Decoder = "lean"
    decoder_width: int = 128
    decoder_depth: int = 2
    decoder_heads: int = 4
    anchor_minutes: tuple[float, ...] = (3.0, 10.0, 40.0, 1e6)
    views: int = 4
    ask_every: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "anchor_minutes", tuple(self.anchor_minutes))  # JSON has lists
        object.__setattr__(self, "signal_order", tuple(self.signal_order))
        for name, most in LARGEST.items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"architecture: {name}={getattr(self, name)} is not in [1, {most}]")
        if not 0 < self.window_minutes <= MINUTES_PER_DAY or self.window_minutes % self.patch_minutes:
            raise ValueError(
                f"window of {self.window_minutes} minutes is no multiple of {self.patch_minutes} up to a day"
            )
        if MINUTES_PER_DAY % self.patch_minutes or (self.patch_minutes % 10 and 10 % self.patch_minutes):
            raise ValueError(f"patch of {self.patch_minutes} minutes is no part or multiple of 10 that divides a day")
        if sorted(self.signal_order) != sorted(NAMES):
            raise ValueError(f"{self.signal_order=} is not each of the {N_SIGNALS} signals once")
        if self.drop_ratio is not None and not 0 <= self.drop_ratio < 1:
            raise ValueError(f"{self.drop_ratio=} is not in [0, 1)")
        for width, heads in ((self.width, self.heads), (self.decoder_width, self.decoder_heads)):
            if width % heads or width % 2:
                raise ValueError(f"{width=} is odd or not a multiple of {heads=}")
        if not all(0 < reach < math.inf for reach in self.anchor_minutes):
            raise ValueError(f"{self.anchor_minutes=} are not positive")
        if self.decoder not in ("lean", "full"):
            raise ValueError(f"{self.decoder=} is neither 'lean' nor 'full'")

    @property
    def grid(self) -> Grid:
        """Places of a window."""
        return Grid(rows=-(-N_SIGNALS // self.patch_signals), columns=self.window_minutes // self.patch_minutes)

    @property
    def cells(self) -> int:
        """Minutes times signals of a patch."""
        return self.patch_signals * self.patch_minutes

    @property
    def encoder_multiply_adds(self) -> int:
        """Multiplications with addition of one window through embedding and encoder, no place dropped.

        This is what LSM-1's Tables 6 and 8 call FLOPs: all their numbers come out within 4 %, and no other reading fits
        both LSM-Base and LSM-Large. A masked training step with the decoder costs something else.
        """
        tokens = self.grid.places + 1
        embedding = self.grid.places * (1 if self.filled else 2) * self.cells * self.width
        block = 12 * tokens * self.width**2 + 2 * tokens**2 * self.width  # 4 projections, 2 x 4 of the MLP; attention
        return embedding + self.depth * block


def _shape(encoder: tuple[int, int, int], decoder: tuple[int, int, int], /, **options: Any) -> Architecture:
    """An architecture by (width, depth, heads) of encoder and decoder."""
    (width, depth, heads), (decoder_width, decoder_depth, decoder_heads) = encoder, decoder
    return Architecture(
        width=width,
        depth=depth,
        heads=heads,
        decoder_width=decoder_width,
        decoder_depth=decoder_depth,
        decoder_heads=decoder_heads,
        **options,
    )


AIM: Final[dict[str, Any]] = {"decoder": "full", "anchor_minutes": (), "views": 0, "ask_every": 1, "drop_ratio": 0.5}
"""LSM-2 as far as it is known; its D is not, 0.5 is that of its open re-implementation."""
LSM1: Final[dict[str, Any]] = {
    "window_minutes": 300,
    "patch_signals": 5,
    "filled": True,
    "clock": False,
    "decoder": "full",
    "anchor_minutes": (),
    "views": 0,
    "ask_every": 1,
}
"""LSM-1: five hours, patches of 10 minutes by 5 signals over 30 padded rows ([1], section 3.1, Table 6)."""

SIZES: Final[dict[str, Architecture]] = {
    "xxs": _shape((48, 2, 1), (48, 1, 1)),  # 0.2 M parameters
    "xs": _shape((96, 3, 4), (64, 1, 4)),  # 0.5 M
    "s": _shape((128, 4, 4), (96, 2, 4)),  # 1.1 M
    "m": _shape((192, 12, 3), (128, 4, 4)),  # 6 M
    "lsm2": _shape((384, 12, 6), (256, 4, 4)),  # about 25 M, the size that is reported of LSM-2
    "lsm2-aim": _shape((384, 12, 6), (256, 4, 4), **AIM),  # the same the papers' way
    "lsm1-tiny": _shape((192, 4, 3), (128, 2, 4), **LSM1),  # Table 8: 2 M
    "lsm1-small": _shape((256, 8, 4), (192, 2, 4), **LSM1),  # 7 M
    "lsm1-base": _shape((768, 12, 12), (512, 8, 16), **LSM1),  # 110 M
    "lsm1-large": _shape((1024, 24, 16), (512, 8, 16), **LSM1),  # 328 M
}


class Attention(nn.Module):
    """Multi-head attention of ``x`` [..., n, width] over ``context`` [..., m, width]; ``keep`` is bool [..., m]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor, keep: Tensor | None) -> Tensor:
        """Attended ``x``, same shape; contexts where ``keep`` is False weigh exactly nothing."""
        q, k, v = (self._split(t) for t in (self.query(x), self.key(context), self.value(context)))
        mask = None if keep is None else keep.flatten(0, -2)[:, None, None, :]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(attended.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        """[..., n, width] -> [all leading, heads, n, width of a head]."""
        return split(x.flatten(0, -3), -1, (self.heads, x.shape[-1] // self.heads)).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm transformer block; attends to itself, or to a context when one is given."""

    def __init__(self, width: int, heads: int, crosses: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.context_norm = nn.LayerNorm(width) if crosses else None
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, keep: Tensor | None, context: Tensor | None = None) -> Tensor:
        """``x`` [..., n, width] -> same shape."""
        y = self.norm(x)
        memory = y if context is None or self.context_norm is None else self.context_norm(context)
        x = x + self.attention(y, memory, keep)
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


class Position(nn.Module):
    """Learnable place in the grid: which signals, which time of the day; starts as sines and cosines of the clock."""

    def __init__(self, rows: int, slots: int, width: int) -> None:
        super().__init__()
        self.row = nn.Embedding(rows, width)
        self.slot = nn.Embedding(slots, width)

    def forward(self, row: Tensor, slot: Tensor) -> Tensor:
        """Row and slot indices [..., n] -> [..., n, width]."""
        return self.row(row) + self.slot(slot)  # type: ignore[no-any-return]


def initialise(module: nn.Module, seed: int) -> None:
    """Set every parameter from a generator of its own; torch's global generator is neither read nor moved."""
    generator = torch.Generator().manual_seed(stream_key(seed, "weights") % 2**63)
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, std=0.5, generator=generator)
    for layer in module.modules():
        if isinstance(layer, Position):
            with torch.no_grad():
                layer.slot.weight.copy_(sines(*layer.slot.weight.shape))


def sines(slots: int, width: int) -> Tensor:
    """Sines and cosines of the slot, [slots, width]; periods run geometrically from 2 slots to 4 days."""
    period = torch.logspace(math.log10(2.0), math.log10(4.0 * slots), width // 2)
    angle = 2 * math.pi * torch.arange(slots)[:, None] / period
    return torch.cat([angle.sin(), angle.cos()], dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Encoded patches of a batch.

    Attributes:
        tokens: float [..., 1 + n, width]; token 0 is the window's summary, then the seen patches, then padding.
        keep: bool [..., 1 + n]; False at padding.
        place: int64 [..., n]; the place of each patch, anything at padding.
    """

    tokens: Tensor
    keep: Tensor
    place: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """What is seen around each place.

    Attributes:
        minutes: float [..., places, cells, anchors]; what predictions of a cell are blended of.
        around: float [..., places, numbers]; what the place's own signals did before and after it.
        column: float [..., columns, numbers]; what all signals did before, within and after a stretch of time.
    """

    minutes: Tensor
    around: Tensor
    column: Tensor


class MaskedAutoencoder(nn.Module):
    """The masked autoencoder of AIM and LSM-1; ``forward`` is the training loss of each window."""

    _row_signal: Tensor
    _signal_row: Tensor

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__()
        self.architecture = a = architecture
        with torch.random.fork_rng(devices=[]):  # layers draw first weights of their own, which are not used
            self._build(a)
        initialise(self, seed)

    def _build(self, a: Architecture) -> None:
        slots = MINUTES_PER_DAY // a.patch_minutes if a.clock else a.grid.columns
        row = torch.tensor([NAMES.index(name) for name in a.signal_order])
        self._reorders = a.signal_order != NAMES
        self.register_buffer("_row_signal", row, persistent=False)  # signal of each row
        self.register_buffer("_signal_row", row.argsort(), persistent=False)  # row of each signal
        self.embed = nn.Linear(a.cells if a.filled else 2 * a.cells, a.width)  # values, and which of them are there
        self.summary = nn.Embedding(1, a.width)
        self.position = Position(a.grid.rows, slots, a.width)
        self.encoder = nn.ModuleList([Block(a.width, a.heads) for _ in range(a.depth)])
        self.norm = nn.LayerNorm(a.width)
        self.bridge = nn.Linear(a.width, a.decoder_width)
        self.mask_token = nn.Embedding(1, a.decoder_width)
        self.decoder_position = Position(a.grid.rows, slots, a.decoder_width)
        crosses = a.decoder == "lean"
        self.decoder = nn.ModuleList([Block(a.decoder_width, a.decoder_heads, crosses) for _ in range(a.decoder_depth)])
        self.decoder_norm = nn.LayerNorm(a.decoder_width)
        self.head = nn.Linear(a.decoder_width, a.cells)
        self.blend: nn.Linear | None = None
        self.around: nn.Linear | None = None
        if a.anchor_minutes:
            reaches, signals = len(a.anchor_minutes), a.grid.rows * a.patch_signals
            self.blend = nn.Linear(a.decoder_width, a.cells * 4 * reaches)
            if a.views:
                self.around = nn.Linear(a.patch_signals * (4 * reaches + 2), a.decoder_width)
                self.column = nn.Linear(signals * (a.patch_minutes + 1 + 2 * reaches), a.grid.rows * a.views)
                self.view = nn.Linear(a.views, a.decoder_width)

    def forward(self, batch: Batch) -> Tensor:
        """Mean squared error of each window over its scored cells (observed and hidden), [...]; 0 if there are none."""
        values, there = self.inputs(batch)
        seen = self.encode(batch, values, there)
        targets, counted = self.filled_targets(batch) if self.architecture.filled else (values, there)
        place, asked = gather_first(batch.hidden & counted.any(-1))
        if self.training and self.architecture.ask_every > 1:
            place, asked = every(self.architecture.ask_every, place, asked)
        predicted = self.decode(seen, place, batch.slot, self.anchors(batch, values, there))
        weight = take(counted, place) & asked[..., None]
        error = (predicted - take(targets, place)).square() * weight
        return error.sum((-2, -1)) / weight.sum((-2, -1)).clamp(min=1)

    def reconstruct(self, batch: Batch) -> Tensor:
        """The window [..., 26, minutes] with every hidden place predicted, the rest as it came."""
        values, there = self.inputs(batch)
        seen = self.encode(batch, values, there)
        place, asked = gather_first(batch.hidden)
        predicted = self.decode(seen, place, batch.slot, self.anchors(batch, values, there))
        kept = self._cut(batch.values)
        predicted = torch.where(asked[..., None], predicted, take(kept, place))
        index = place[..., None].expand(predicted.shape)
        return self.windows(kept.scatter(-2, index, predicted.to(kept.dtype)))

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the model may look at: values and whether they are there, each [..., places, cells]; padding is not.

        Cells of hidden places are in it; whoever uses it leaves those places out. Filled inputs are made from what is
        neither missing nor hidden, so that no hidden cell shows through a gap beside it.
        """
        if not self.architecture.filled:
            return self.patches(batch)
        seen = batch.observed & ~self.hidden_cells(batch.hidden)
        return self._cut(fill_gaps(batch.values, seen)), self._cut(torch.ones_like(batch.observed))

    def filled_targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a filled model's loss asks for: values and whether they count, each [..., places, cells].

        All cells, gaps filled from all that was observed, as LSM-1 has it.
        """
        return self._cut(fill_gaps(batch.values, batch.observed)), self._cut(torch.ones_like(batch.observed))

    def patches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Values and observed [..., 26, minutes] -> patches [..., places, cells]; padded rows are not observed."""
        return self._cut(batch.values), self._cut(batch.observed)

    def hidden_cells(self, places: Tensor) -> Tensor:
        """Places bool [..., places] -> their cells, bool [..., 26, minutes]."""
        return self.windows(places[..., None].expand(*places.shape, self.architecture.cells))

    def places_of(self, cells: Tensor) -> Tensor:
        """Cells bool [..., 26, minutes] -> the places that hold any of them, bool [..., places]."""
        return self._cut(cells).any(-1)

    def seen_places(self, batch: Batch) -> Tensor:
        """How many patches each window shows, int64 [...]."""
        there = True if self.architecture.filled else self.places_of(batch.observed)
        return (there & ~batch.hidden).sum(-1)

    def encode(self, batch: Batch, values: Tensor, there: Tensor) -> Seen:
        """Gather the seen patches, embed them with their place, and let them attend to each other.

        Raises:
            ValueError: In training with a ``drop_ratio`` that leaves too little room for what is seen.
        """
        place, keep = gather_first(there.any(-1) & ~batch.hidden, self._room())
        return self.encode_at(place, keep, batch.slot, values, there)

    def encode_at(self, place: Tensor, keep: Tensor, slot: Tensor, values: Tensor, there: Tensor) -> Seen:
        """Encode the patches at ``place`` int64 [..., m]; those where ``keep`` bool [..., m] is False are not seen."""
        present = take(there, place)
        cells = take(values, place) * present
        if not self.architecture.filled:
            cells = torch.cat([cells, present.to(values.dtype)], dim=-1)
        tokens = self.embed(cells) + self.position(*self._row_and_slot(place, slot))
        zero = torch.zeros((*place.shape[:-1], 1), dtype=torch.long, device=place.device)
        tokens = torch.cat([self.summary(zero), tokens], dim=-2)
        keep = torch.cat([zero == 0, keep], dim=-1)
        for block in self.encoder:
            tokens = block(tokens, keep)
        return Seen(self.norm(tokens), keep, place)

    def _room(self) -> int | None:
        """Places left when ``drop_ratio`` has dropped its share; None where it drops none (D is for training alone)."""
        a = self.architecture
        if a.drop_ratio is None or not self.training:
            return None
        return a.grid.places - round(a.drop_ratio * a.grid.places)

    def anchors(self, batch: Batch, values: Tensor, observed: Tensor) -> Anchors | None:
        """Averages of the seen cells of the same signal, weighted by exp(-lag / reach); None if there are no reaches.

        For each reach four: of both sides of a minute, of what came before the place, of what came after it, and the
        straight line between these two, from the last seen minute to the next; the longest reach is the window's mean.
        A side without a seen cell takes the other's, and 0 if neither has one. A place's own seen cells count as if at
        every minute of it. The decoder blends these and adds a correction, so that it learns only what they do not say.
        Without them a small model spends its first thousand steps on learning to copy (docs/diary.md).
        """
        a = self.architecture
        if not a.anchor_minutes:
            return None
        there = observed & ~batch.hidden[..., None]
        with torch.autocast(values.device.type, enabled=False):  # weights across a day's gap need float64's range
            x = torch.stack([values * there, there.to(values.dtype)]).double()
            x = split(split(x, -1, (a.patch_signals, a.patch_minutes)), -3, (a.grid.rows, a.grid.columns))
            x = x.transpose(-3, -2).flatten(-4, -3)  # [value and count, ..., signals, columns, minutes]
            reach = torch.tensor(a.anchor_minutes, dtype=torch.float64, device=x.device)
            lag = torch.arange(a.patch_minutes, device=x.device)[:, None] / reach  # [minutes, reaches]
            to_start, to_end = torch.exp(-lag), torch.exp(-lag.flip(0))
            once = torch.exp(-1 / reach)
            column = torch.arange(a.grid.columns, device=x.device)
            apart = column - column[:, None]  # from a column that is seen to one that is asked for
            decay = torch.exp(-(apart.abs() - 1).clamp(min=0) * a.patch_minutes / reach[:, None, None])
            before = self._carry(x @ (to_end * once), decay * (apart > 0))
            after = self._carry(x @ (to_start * once), decay * (apart < 0))
            own = x.sum(-1, keepdim=True)
            cell = before[..., None, :] * to_start + after[..., None, :] * to_end + own[..., None]
            both = _ratio(cell, 0.0)
            whole = both.mean(-2)
            earlier, later = _ratio(before, torch.nan), _ratio(after, torch.nan)
            earlier, later = (
                torch.where(side.isnan(), torch.where(other.isnan(), whole, other), side)
                for side, other in ((earlier, later), (later, earlier))
            )
            sided = torch.stack([earlier, later], -2).flatten(-2)  # [..., signals, columns, 2 x reaches]
            since, until = self._distances(x[1] > 0)
            share = (until / (since + until))[..., None]
            line = share * earlier[..., None, :] + (1 - share) * later[..., None, :]
            minutes = torch.cat([both, sided[..., None, :].expand(*both.shape[:-1], -1), line], -1)
            weights = torch.stack([before[1], after[1]], -2).flatten(-2)
            distance = torch.stack([since[..., 0], until[..., -1]], -1)
            around = torch.cat([sided, (weights + 1e-3).log() / 4, distance.log() / 4], -1)
            inside = torch.cat([x[0], own[1] / a.patch_minutes], -1)
            wide = torch.cat([sided, inside], -1).transpose(-3, -2).flatten(-2)
        rows = (a.grid.rows, a.patch_signals)
        minutes = split(minutes, -4, rows).transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)
        around = split(around, -3, rows).transpose(-3, -2).flatten(-2).flatten(-3, -2)
        return Anchors(minutes.to(values.dtype), around.to(values.dtype), wide.to(values.dtype))

    @staticmethod
    def _distances(seen: Tensor) -> tuple[Tensor, Tensor]:
        """Minutes since the last seen cell and until the next, from 1 on; ``seen`` bool [..., columns, minutes]."""
        known = seen.flatten(-2)
        minutes = known.shape[-1]
        minute = torch.arange(minutes, device=seen.device).expand(known.shape)
        last = torch.where(known, minute, -minutes).cummax(-1).values
        following = torch.where(known, minute, 2 * minutes).flip(-1).cummin(-1).values.flip(-1)
        since, until = (minute - last).clamp(min=1), (following - minute).clamp(min=1)
        size = (seen.shape[-2], seen.shape[-1])
        return split(since.double(), -1, size), split(until.double(), -1, size)

    @staticmethod
    def _carry(sums: Tensor, decay: Tensor) -> Tensor:
        """Sums [..., columns, reaches] of every column -> of all that ``decay`` [reaches, from, to] carries to each."""
        return torch.einsum("...jr,rjc->...cr", sums, decay)

    def decode(self, seen: Seen, place: Tensor, slot: Tensor, anchors: Anchors | None) -> Tensor:
        """Predict the patches at ``place`` int64 [..., m]: [..., m, cells]."""
        memory = self.bridge(seen.tokens)
        if self.architecture.decoder == "lean":
            x = self._questions(place, slot, anchors)
            for block in self.decoder:
                x = block(x, seen.keep, memory)
            return self._predict(x, place, anchors)
        everywhere = torch.arange(self.architecture.grid.places, device=place.device)
        x = self._questions(everywhere.repeat((*place.shape[:-1], 1)), slot, anchors)
        at_seen = take(x, seen.place) - self._mask(seen.place) + memory[..., 1:, :]
        at_seen = torch.where(seen.keep[..., 1:, None], at_seen, take(x, seen.place))
        x = x.scatter(-2, seen.place[..., None].expand(at_seen.shape), at_seen)
        for block in self.decoder:
            x = block(x, None)
        return self._predict(take(x, place), place, anchors)

    def _predict(self, x: Tensor, place: Tensor, anchors: Anchors | None) -> Tensor:
        x = self.decoder_norm(x)
        correction: Tensor = self.head(x)
        if self.blend is None or anchors is None:
            return correction
        sizes = (anchors.minutes.shape[-2], anchors.minutes.shape[-1])
        minutes = split(take(anchors.minutes.flatten(-2), place), -1, sizes)
        shares = split(self.blend(x), -1, sizes).softmax(-1)
        return correction + (shares * minutes).sum(-1)

    def embed_windows(self, batch: Batch) -> Tensor:
        """One vector a window, [..., width]: the mean of its seen patches; the summary token where none is seen."""
        return self.summarise(self.encode(batch, *self.inputs(batch)))

    def summarise(self, seen: Seen) -> Tensor:
        """The mean of the seen patches, [..., width]; the summary token where none is seen."""
        weight = seen.keep.clone()
        weight[..., 0] = ~seen.keep[..., 1:].any(-1)
        total = (seen.tokens * weight[..., None]).sum(-2)
        mean: Tensor = total / weight.sum(-1, keepdim=True)
        return mean

    def windows(self, patches: Tensor) -> Tensor:
        """Patches [..., places, cells] -> [..., 26, minutes]; the inverse of ``patches`` for the 26 real rows."""
        a = self.architecture
        x = split(split(patches, -1, (a.patch_signals, a.patch_minutes)), -3, (a.grid.rows, a.grid.columns))
        x = x.transpose(-3, -2).flatten(-4, -3).flatten(-2)
        return x.index_select(-2, self._signal_row) if self._reorders else x[..., :N_SIGNALS, :]

    def _cut(self, x: Tensor) -> Tensor:
        a = self.architecture
        x = x.index_select(-2, self._row_signal) if self._reorders else x
        x = F.pad(x, (0, 0, 0, a.grid.rows * a.patch_signals - N_SIGNALS))
        x = split(split(x, -1, (a.grid.columns, a.patch_minutes)), -3, (a.grid.rows, a.patch_signals))
        return x.transpose(-3, -2).flatten(-2).flatten(-3, -2)

    def _questions(self, place: Tensor, slot: Tensor, anchors: Anchors | None) -> Tensor:
        x: Tensor = self._mask(place) + self.decoder_position(*self._row_and_slot(place, slot))
        if self.around is None or anchors is None:
            return x
        grid = self.architecture.grid
        views = split(self.column(anchors.column), -1, (grid.rows, self.architecture.views))
        views = views.transpose(-3, -2).flatten(-3, -2)  # a place has its own signals' views of its column
        told: Tensor = self.around(take(anchors.around, place)) + self.view(take(views, place))
        return x + told

    def _mask(self, place: Tensor) -> Tensor:
        return self.mask_token(torch.zeros_like(place))  # type: ignore[no-any-return]

    def _row_and_slot(self, place: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        columns = self.architecture.grid.columns
        if not self.architecture.clock:
            return place // columns, place % columns
        first = slot[..., None] * 10 // self.architecture.patch_minutes
        return place // columns, (first + place % columns) % self.decoder_position.slot.num_embeddings


def _ratio(sums: Tensor, otherwise: float) -> Tensor:
    """Values over counts, ``sums`` [2, ...]; ``otherwise`` where nothing was counted."""
    return torch.where(sums[1] > 0, sums[0] / torch.where(sums[1] > 0, sums[1], 1.0), otherwise)


def gather_first(chosen: Tensor, room: int | None = None) -> tuple[Tensor, Tensor]:
    """Indices of the True places of ``chosen`` [..., places], in order, then others, the same number for all.

    Args:
        chosen: bool [..., places].
        room: How many indices; None: the batch's largest count of True, at least 1.

    Returns:
        Indices int64 [..., m] and bool [..., m], False at the others.

    Raises:
        ValueError: If there are more than ``room``.
    """
    count = chosen.sum(-1)
    largest = int(count.max()) if count.numel() else 0
    if room is not None and largest > room:
        raise ValueError(f"{largest} seen places do not fit in the {room} of {chosen.shape[-1]} that drop_ratio leaves")
    m = max(1, largest) if room is None else room
    order = torch.argsort(~chosen, dim=-1, stable=True)[..., :m].contiguous()
    return order, torch.arange(m, device=chosen.device) < count[..., None]


def every(k: int, place: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Every ``k``-th of what ``gather_first`` found, [..., m / k]; where it begins follows from the places."""
    m = place.shape[-1]
    first = (place * asked).sum(-1, keepdim=True) % k
    index = (first + k * torch.arange(-(-m // k), device=place.device)).expand(*place.shape[:-1], -1)
    within = index.clamp(max=m - 1)
    return place.gather(-1, within), asked.gather(-1, within) & (index < m)


def split(x: Tensor, dim: int, sizes: tuple[int, int]) -> Tensor:
    """One dimension as two."""
    return torch.unflatten(x, dim, sizes)


def take(x: Tensor, place: Tensor) -> Tensor:
    """Patches ``x`` [..., places, cells] at ``place`` [..., m]: [..., m, cells]."""
    return x.gather(-2, place[..., None].expand(*place.shape, x.shape[-1]))
