"""Jobs that make models and take them elsewhere: train, export."""

import dataclasses
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from tyro.conf import Positional

from commandline import (
    Job,
    Result,
    UsageError,
    checked,
    known,
    output_folder,
    progress_bar,
    written_folder,
)
from jobs.judging import MODEL

HELD_OUT_SHARE = 0.1  # of a dataset's people, kept by `train` for validation


@dataclass(frozen=True, kw_only=True)
class Train(Job):
    """Train a masked autoencoder on a dataset, without privacy.

    Example: everywear train data/hundred --out models/first --size xs --steps 500

    On several processes or GPUs: torchrun --nproc-per-node 2 .venv/bin/everywear train ..., with the same result.

    Attributes:
        data: Dataset folder; a tenth of its people is kept for validation.
        out: Model folder to write; going on where it stopped if it was interrupted.
        size: xxs, xs, s, m, lsm2, lsm2-aim (the papers' way), lsm1-tiny, lsm1-small, lsm1-base or lsm1-large.
        window_minutes: 1440, or less; LSM-1's sizes take 300.
        patch: Minutes by signals of a patch, such as 10x5; the size's own by default.
        signal_order: Of the rows that patches are cut from: clustered by sensor, shuffled, or apart (signals that
            correlate little side by side).
        decoder: lean or full.
        drop_ratio: The papers' share of places that are dropped by number; by default every unseen one is.
        method: mae (masked autoencoder), simclr, dino or msn; of the last three the encoder is of use, for probes.
        plan: small, or lsm1 (LSM-1's Table 15, for a cluster); the next four options change it.
        masks: aim, tasks, random, structured-temporal, structured-sensor, temporal-interpolation or
            temporal-extrapolation.
        steps: Optimiser steps.
        batch_windows: Windows a step.
        learning_rate: Peak rate.
    """

    goes_on: ClassVar[bool] = True

    data: Positional[Path]
    out: Path
    size: str = "xxs"
    window_minutes: int = 300
    patch: str = ""
    signal_order: Literal["clustered", "shuffled", "apart"] = "clustered"
    decoder: Literal["lean", "full", "as-named"] = "as-named"
    drop_ratio: float | None = None
    method: Literal["mae", "simclr", "dino", "msn"] = "mae"
    plan: str = "small"
    masks: str = ""
    steps: int | None = None
    batch_windows: int | None = None
    learning_rate: float | None = None

    def do(self) -> Result:
        """Do the job."""
        from model.autoencoder import MaskedAutoencoder
        from model.training import (
            Origin,
            Together,
            batches,
            check_masks,
            parameters,
            save_model,
            train,
            validation_loss,
        )
        from model.windows import Days, Normaliser
        from simulator.dataset import open_dataset

        with checked():
            shape = self._shape()
            plan = self._plan(shape)
            check_masks(shape, plan)
        together = Together.started()
        if plan.batch_windows % together.processes:
            raise UsageError(f"batch-windows {plan.batch_windows} is no multiple of {together.processes} processes")
        if self.method != "mae" and shape.drop_ratio is not None:
            raise UsageError(f"drop-ratio {shape.drop_ratio} is for method mae; {self.method} hides nothing to drop")
        dataset = open_dataset(self.data)
        _model_folder(self.out)
        parts = dataset.split(self.seed, test_share=HELD_OUT_SHARE)
        started = time.monotonic()
        normaliser = Normaliser.fit(parts["train"])
        days = Days.load(parts["train"], normaliser)
        shape = dataclasses.replace(shape, signal_order=self._signal_order(days))
        model: Any = MaskedAutoencoder(shape, self.seed)
        loader: Any = batches
        if self.method != "mae":
            from model.contrastive import METHODS, pairs

            model, loader = METHODS[self.method](shape, self.seed), pairs
        with progress_bar("steps", plan.steps) as bar:
            losses = train(
                model.to(together.device()),
                days,
                plan,
                seed=self.seed,
                checkpoint=self.out / "checkpoint.safetensors",
                progress=lambda step, loss: bar(step + 1, f"loss {loss:.3f}"),
                loader=loader,
                together=together,
            )
        if together.rank:
            raise SystemExit(0)  # the first process says and writes what came out
        loss = None
        model = model if self.method == "mae" else model.network
        if len(parts["test"]) and self.method == "mae":
            held_out = Days.load(parts["test"], normaliser)
            if len(held_out.usable(self.window_minutes)):
                loss = validation_loss(model, held_out, plan, seed=self.seed)
        save_model(
            self.out,
            model,
            normaliser,
            Origin(
                seed=self.seed,
                data=dataset.manifest.sha256,
                people=tuple(sorted(parts["train"].marks().values())),
                plan=plan,
                method=self.method,
                loss=losses[-1],
                held_out_loss=loss,
            ),
        )
        (self.out / "checkpoint.safetensors").unlink(missing_ok=True)
        return {
            "parameters": parameters(model),
            "steps": len(losses),
            "loss": losses[-1],
            "validation_loss": loss,
            "seconds": round(time.monotonic() - started, 3),
            "path": str(self.out),
        }

    def _shape(self) -> Any:
        """The architecture that is asked for, but for the order of signals, which may need the data."""
        from model.autoencoder import SIZES

        known("size", self.size, SIZES)
        changes: dict[str, Any] = {"window_minutes": self.window_minutes}
        if self.decoder != "as-named":
            changes["decoder"] = self.decoder
        if self.drop_ratio is not None:
            changes["drop_ratio"] = self.drop_ratio
        if self.patch:
            found = re.fullmatch(r"(\d{1,4})x(\d{1,2})", self.patch)
            if not found:
                raise UsageError(f"patch {self.patch!r} is not minutes x signals, such as 10x5")
            changes |= {"patch_minutes": int(found[1]), "patch_signals": int(found[2])}
            try:
                return dataclasses.replace(SIZES[self.size], **changes)
            except ValueError as error:
                raise UsageError(f"patch {self.patch!r}: {error}") from error
        return dataclasses.replace(SIZES[self.size], **changes)

    def _plan(self, shape: Any) -> Any:
        """The plan by name, with what was asked otherwise; the papers' models have the papers' masks."""
        from model.masking import MASKS
        from model.training import PLANS

        known("plan", self.plan, PLANS)
        plan = PLANS[self.plan]
        if self.method != "mae" and self.plan == "lsm1":
            from model.contrastive import paper_plan

            plan = paper_plan(self.method)
        changes = {name: getattr(self, name) for name in ("steps", "batch_windows", "learning_rate")}
        changes = {name: value for name, value in changes.items() if value is not None}
        if self.masks:
            known("masks", self.masks, MASKS)
            changes["masks"] = MASKS[self.masks]
        elif self.plan == "small" and (shape.drop_ratio is not None or shape.filled or self.method != "mae"):
            changes["masks"] = MASKS["aim"]
        return dataclasses.replace(plan, **changes)

    def _signal_order(self, days: Any) -> tuple[str, ...]:
        from model.ordering import CLUSTERED, apart, correlations, shuffled

        if self.signal_order == "apart":
            return apart(correlations(zip(days.values, days.observed, strict=True)))
        return shuffled(self.seed) if self.signal_order == "shuffled" else CLUSTERED


@dataclass(frozen=True, kw_only=True)
class Export(Job):
    """Write a model as ONNX files, embed.onnx and reconstruct.onnx, after checking them against PyTorch.

    Example: everywear export models/first --out models/first-onnx

    Attributes:
        model: Model folder.
        out: Folder to write to.
    """

    model: Positional[Path]
    out: Path

    def do(self) -> Result:
        """Do the job."""
        from model.exporting import export

        output_folder(self.out, "export", ("*.onnx",), apart=None)
        written_folder(self.model, *MODEL)
        return {"differences": export(self.model, self.out), "path": str(self.out)}

    def words(self, result: Result) -> str:
        """Each file with its largest difference."""
        told = [f"{name}: within {apart:.1g} of PyTorch" for name, apart in result["differences"].items()]
        return "\n".join([*told, f"path: {result['path']}"])


def _model_folder(out: Path) -> None:
    """Make a folder for a model, or find an interrupted training's there.

    Raises:
        UsageError: If it is a file, or holds anything else.
    """
    if (out / "model.safetensors").exists():
        raise UsageError(f"{out}: holds a finished model; expected a new folder or an interrupted run's")
    output_folder(out, "train", ("checkpoint.safetensors", "model.json", "README.md"))
    out.mkdir(parents=True, exist_ok=True)
