"""The Flower server: goes through the rounds that are left, and keeps the model of each before the next begins."""

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from safetensors.torch import save
from torch import from_numpy

from federated.experiment import Experiment, load
from federated.parameters import Theta, pack, touchable_vector, unpack
from federated.strategy import FederationError, MakerAverage, record, vector
from federated.study.records import Records
from model.autoencoder import MaskedAutoencoder
from model.training import load_model, read_safetensors, validation_loss
from model.windows import Days
from simulator.dataset import open_dataset
from simulator.files import write_whole
from simulator.recording import DataError

ROUND_TIMEOUT_SECONDS = 3600.0

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation of the run folder that ``run`` in the run config names.

    Raises:
        DataError: If there is no such folder, or its public model is not there yet.
        FederationError: If a round failed.
    """
    folder = str(context.run_config.get("run", ""))
    if not folder:
        raise DataError("'run' in the run config names no folder: give --run-config 'run=\"/path/to/run\"'")
    federate(grid, Path(folder))


def federate(grid: Grid, run: Path) -> None:
    """All rounds that are left of a run folder whose public model stands."""
    experiment = load(run / "experiment.json")
    model, normaliser = load_model(run / "public" / "model")
    done, theta = last_round(run, experiment, model)
    left = experiment.rounds.rounds - done
    if left == 0:
        return
    logging.getLogger("flwr").setLevel(logging.WARNING)  # our own progress says what there is to say
    validation = Days.load(open_dataset(run / "public" / "validation"), normaliser)
    records = Records(run / "records.jsonl", experiment.digest, experiment.seed)
    started = time.monotonic()

    def keep(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        """Called by Flower after every round, and with 0 before the first."""
        nonlocal started
        if server_round == 0:
            return None
        number, averaged = done + server_round, vector(arrays)
        unpack(model, averaged)
        loss = validation_loss(model, validation, experiment.public.warm_up, seed=experiment.seed)
        content = {"round": number, "public_loss": loss, "failures": sorted(strategy.failures)}
        records.add("round", str(number), content, time.monotonic() - started)
        metadata = {"round": str(number), "experiment": experiment.digest}
        write_whole(run / "server" / "round.safetensors", save({"theta": from_numpy(averaged)}, metadata))
        started = time.monotonic()
        return MetricRecord({"public-loss": loss})

    makers = experiment.makers
    strategy = MakerAverage(
        FedAvg(min_train_nodes=len(makers), min_available_nodes=len(makers)),
        weights={i: float(maker.people) for i, maker in enumerate(makers)},
        touchable={i: touchable_vector(model, maker.vendor.signals) for i, maker in enumerate(makers)},
        least_makers=experiment.rounds.least_makers,
        first_round=done,
    )
    config = {"experiment": experiment.to_json(), "normaliser": json.dumps(asdict(normaliser))}
    strategy.start(
        grid,
        record(theta),
        num_rounds=left,
        timeout=ROUND_TIMEOUT_SECONDS,
        train_config=ConfigRecord({**config}),
        evaluate_fn=keep,
    )
    if last_round(run, experiment, model)[0] != experiment.rounds.rounds:
        raise FederationError("the federation ended before its last round")


def last_round(run: Path, experiment: Experiment, start: MaskedAutoencoder) -> tuple[int, Theta]:
    """Rounds done and the model after them; 0 and ``start`` before the first.

    Raises:
        DataError: If the file is damaged or another experiment's.
    """
    path = run / "server" / "round.safetensors"
    if not path.exists():
        return 0, pack(start)
    tensors, metadata = read_safetensors(path)
    if metadata.get("experiment") != experiment.digest or "theta" not in tensors:
        raise DataError(f"{path}: belongs to experiment {metadata.get('experiment')}, expected {experiment.digest}")
    return int(metadata["round"]), tensors["theta"].numpy()
