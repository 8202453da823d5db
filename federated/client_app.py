"""The Flower client: message -> ``train_round`` -> message. One client is one maker.

The message carries the experiment and the public normaliser, so a maker needs nothing but its own site. Where that
lies: ``site`` in the node's own config, else ``vendors/NAME`` in the run folder of the run config (rehearsals, where
all makers live on one machine).
"""

import json
import traceback
from pathlib import Path

from flwr.app import Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federated.experiment import Experiment
from federated.maker import Site, train_round
from federated.strategy import BUDGET, FAILED, REFUSED, record, vector
from model.windows import Normaliser
from privacy.ledger import BudgetExceeded
from privacy.plan import PrivacyError
from simulator.recording import DataError

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """One round at one maker. The reply holds the model and the maker's number; no loss, no count (rule R10).

    What went wrong stays at the site, in ``errors.log``, since an error's text may quote somebody's minutes; the server
    gets one of three words.
    """
    config = message.content.config_records["config"]
    number = int(context.node_config["partition-id"])
    experiment = Experiment.from_json(str(config["experiment"]))
    if number >= len(experiment.makers):
        raise DataError(f"client {number} has no maker: the experiment names {len(experiment.makers)}")
    folder = site_folder(context, experiment, number)
    try:
        normaliser = Normaliser(**json.loads(str(config["normaliser"])))
        theta = vector(message.content.array_records["arrays"])
        answer = train_round(Site(folder, experiment, number), theta, normaliser, int(str(config["round"])))
    except Exception as error:  # of whatever kind: its text must not leave the site
        with (folder / "errors.log").open("a") as log:
            log.write(traceback.format_exc() + "\n")
        word = BUDGET if isinstance(error, BudgetExceeded) else FAILED
        word = REFUSED if word == FAILED and isinstance(error, PrivacyError | DataError) else word
        return Message(Error(code=0, reason=f"{experiment.makers[number].name} {word}"), reply_to=message)
    reply = RecordDict({"arrays": record(answer), "metrics": MetricRecord({"maker": number})})
    return Message(content=reply, reply_to=message)


def site_folder(context: Context, experiment: Experiment, number: int) -> Path:
    """Where the maker of this client keeps its things.

    Raises:
        DataError: If neither the node nor the run says so.
    """
    own, run = str(context.node_config.get("site", "")), str(context.run_config.get("run", ""))
    if not own and not run:
        raise DataError("neither 'site' in the node config nor 'run' in the run config names a folder")
    return Path(own) if own else Path(run) / "vendors" / experiment.makers[number].name
