"""A model folder as ONNX files, which run without PyTorch and without this project.

``embed.onnx`` takes windows and gives one vector each; ``reconstruct.onnx`` is also told what is hidden, and predicts
it. The normaliser is inside: values go in and come out in the units of ``simulator.signals``. All names stand in the
files; the number of windows is free.

======== ======= ==================================================================================
input    type    meaning
======== ======= ==================================================================================
values   float32 [n, 26, minutes]; anything, NaN too, where not observed
observed bool    [n, 26, minutes]
slot     int64   [n], ten-minute slot of the day with which the window begins
hidden   bool    [n, places], patches to predict; places run row by row of the model's grid
======== ======= ==================================================================================

How many patches are seen depends on the data, and a file has to say shapes before. So nothing is gathered here: every
patch is encoded in its place, and unseen ones weigh nothing in attention, which gives the same numbers.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.autoencoder import MaskedAutoencoder, Seen
from model.training import load_model
from model.windows import Batch, Normaliser
from simulator.files import write_whole
from simulator.randomness import stream
from simulator.recording import DataError
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, SIGNALS

EXAMPLES: Final = 3  # windows that an export is checked on
TOLERANCE: Final = 1e-3  # largest difference from PyTorch, in vectors' numbers and in standard deviations; float32


class Window(nn.Module):
    """What the two files share: from measured values to what the network takes, nothing gathered."""

    level: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, network: MaskedAutoencoder, normaliser: Normaliser) -> None:
        super().__init__()
        self.network = network.eval()
        self.clip_z = normaliser.clip_z
        ends = {end: tuple(getattr(signal, end) for signal in SIGNALS) for end in ("low", "high")}
        for name, numbers in {"level": normaliser.mean, "spread": normaliser.sd, **ends}.items():
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float32)[:, None])

    def batch(self, values: Tensor, observed: Tensor, slot: Tensor, hidden: Tensor) -> Batch:
        """Z-scores, 0 where not observed."""
        z = ((values - self.level) / self.spread).clamp(-self.clip_z, self.clip_z)
        return Batch(torch.where(observed, z, 0.0), observed, slot, hidden)

    def seen(self, batch: Batch) -> tuple[Seen, Tensor, Tensor]:
        """The window encoded, each patch in its place; and what the network was shown."""
        values, there = self.network.inputs(batch)
        place = torch.arange(self.network.architecture.grid.places).expand(batch.hidden.shape)
        keep = there.any(-1) & ~batch.hidden
        return self.network.encode_at(place, keep, batch.slot, values, there), values, there


class Embed(Window):
    """``embed.onnx``."""

    def forward(self, values: Tensor, observed: Tensor, slot: Tensor) -> Tensor:
        """Windows -> vectors [n, width]."""
        places = self.network.architecture.grid.places
        hidden = torch.zeros_like(observed[:, 0, :1]).expand(-1, places)
        seen, _, _ = self.seen(self.batch(values, observed, slot, hidden))
        return self.network.summarise(seen)


class Reconstruct(Window):
    """``reconstruct.onnx``."""

    def forward(self, values: Tensor, observed: Tensor, slot: Tensor, hidden: Tensor) -> Tensor:
        """Windows and hidden places -> windows [n, 26, minutes], hidden places predicted, the rest as it came."""
        batch = self.batch(values, observed, slot, hidden)
        seen, shown, there = self.seen(batch)
        anchors = self.network.anchors(batch, shown, there)
        z = self.network.windows(self.network.decode(seen, seen.place, slot, anchors))
        predicted = (z * self.spread + self.level).clamp(self.low, self.high)
        return torch.where(self.network.hidden_cells(hidden), predicted, values)


FILES: Final[dict[str, tuple[type[Window], tuple[str, ...], str]]] = {
    "embed.onnx": (Embed, ("values", "observed", "slot"), "vector"),
    "reconstruct.onnx": (Reconstruct, ("values", "observed", "slot", "hidden"), "filled"),
}
"""By file: what is in it, its inputs, its output."""


def export(folder: Path, out: Path) -> dict[str, float]:
    """Write a model folder's ONNX files, each checked against PyTorch before it is written.

    Args:
        folder: Model folder.
        out: Folder to write to; made if it is not there.

    Returns:
        By file, the largest difference from PyTorch: of a vector's number, or of a prediction in standard deviations.

    Raises:
        DataError: If the model cannot be read, a library is missing, or a file says something else than the model.
    """
    onnxruntime, table = _libraries()
    network, normaliser = load_model(folder)
    inputs = examples(network, normaliser)
    found: dict[str, float] = {}
    made: dict[str, bytes] = {}
    for name, (kind, names, output) in FILES.items():
        module = kind(network, normaliser).eval()
        chosen = {key: inputs[key] for key in names}
        with _quietly():
            free = {key: {0: torch.export.Dim("n", min=1)} for key in names}
            program: Any = torch.onnx.export(
                module,
                kwargs={key: torch.from_numpy(value[:2]) for key, value in chosen.items()},
                dynamo=True,
                dynamic_shapes=free,
                input_names=names,
                output_names=[output],
                custom_translation_table=table,
                verbose=False,
            )
        made[name] = program.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(made[name], providers=["CPUExecutionProvider"])
        (said,) = session.run([output], chosen)
        found[name] = difference(network, normaliser, output, chosen, said)
        if not found[name] <= TOLERANCE:
            raise DataError(f"{name}: differs from PyTorch by {found[name]:.3g}, expected at most {TOLERANCE:g}")
    out.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        write_whole(out / name, content)
    return found


def examples(network: MaskedAutoencoder, normaliser: Normaliser) -> dict[str, NDArray[Any]]:
    """Windows with gaps and hidden patches, the last with nothing observed: the inputs by name."""
    a, rng = network.architecture, stream(0, "export")
    shape = (EXAMPLES, N_SIGNALS, a.window_minutes)
    z = rng.normal(size=shape).astype(np.float32)
    observed = np.repeat(rng.random((*shape[:2], shape[2] // 10)) < 0.7, 10, axis=2) & (rng.random(shape) < 0.9)
    observed[-1] = False
    return {
        "values": np.where(observed, normaliser.invert(z), np.float32(np.nan)).astype(np.float32),
        "observed": observed,
        "slot": rng.integers(0, (MINUTES_PER_DAY - a.window_minutes) // 10 + 1, EXAMPLES),
        "hidden": rng.random((EXAMPLES, a.grid.places)) < 0.5,
    }


@torch.no_grad()
def difference(
    network: MaskedAutoencoder, normaliser: Normaliser, output: str, inputs: dict[str, NDArray[Any]], said: Any
) -> float:
    """How far an answer is from the network's own: largest of a vector, or of predictions in standard deviations.

    What was not hidden has to come back as it was: infinity if it does not.
    """
    observed = inputs["observed"]
    z = normaliser.apply(np.where(observed, inputs["values"], np.float32(0)), observed)
    hidden = inputs.get("hidden", np.zeros((len(z), network.architecture.grid.places), dtype=np.bool_))
    batch = Batch(*(torch.from_numpy(x) for x in (z, observed, inputs["slot"], hidden)))
    if output == "vector":
        return float(np.abs(said - network.embed_windows(batch).numpy()).max())
    cells = network.hidden_cells(batch.hidden).numpy()
    if not np.array_equal(said[~cells], inputs["values"][~cells], equal_nan=True):
        return float("inf")
    ends = (np.array([[getattr(signal, end)] for signal in SIGNALS], np.float32) for end in ("low", "high"))
    own = np.clip(normaliser.invert(network.reconstruct(batch).numpy()), *ends)
    apart = np.abs(said - own) / np.asarray(normaliser.sd, np.float32)[:, None]
    return float(np.where(cells, apart, 0).max())


def _libraries() -> tuple[Any, dict[Callable[..., Any], Callable[..., Any]]]:
    """The runtime, and how running extremes along time are said in ONNX, which has none of its own.

    Raises:
        DataError: If one is not installed.
    """
    try:
        import onnx  # noqa: F401 (PyTorch needs it, and says so in many lines)
        import onnxruntime
        from onnxscript import opset18
    except ImportError as error:
        raise DataError(f"ONNX is not installed ({error}); try pip install 'everywear[onnx]'") from error

    def running(extreme: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def translate(self: Any, dim: int) -> tuple[Any, Any]:
            """Over 1, 2, 4, ... values back; indices are asked for by nobody."""
            length, reach = int(self.shape[-1]), 1
            while reach < length:
                first = opset18.Slice(self, [0], [reach], [-1])
                before = opset18.Slice(self, [0], [length - reach], [-1])
                after = opset18.Slice(self, [reach], [length], [-1])
                self = opset18.Concat(first, extreme(before, after), axis=-1)
                reach *= 2
            return self, self

        return translate

    aten = torch.ops.aten
    return onnxruntime, {aten.cummax.default: running(opset18.Max), aten.cummin.default: running(opset18.Min)}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """PyTorch tells of its own deprecations, of axes that share a name, and of libraries that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
