"""A Flower grid in one process: drives the real ServerApp and ClientApp without Ray, sockets or a database.

Messages are copied on their way, as a wire would, so clients cannot share memory by accident; an exception in a client
becomes an error reply, as in Flower's own runtimes. Measured on two cores, Flower's Ray engine takes 2 s a round for
clients that do nothing; this takes milliseconds.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

FIRST_NODE_ID = 1000


class InProcessGrid(Grid):
    """``nodes`` virtual clients of one app.

    Args:
        client_app: The app.
        nodes: Number of clients; client i has ``partition-id`` i.
        run_config: What ``flwr run --run-config`` would hold.
        on_answer: Called after every client's answer, for progress.
    """

    def __init__(
        self,
        client_app: ClientApp,
        nodes: int,
        run_config: Mapping[str, str | int | float | bool],
        on_answer: Callable[[], object] | None = None,
    ) -> None:
        self._app = client_app
        self._on_answer = on_answer
        self._message_ids = itertools.count(1)
        self._replies: dict[str, Message] = {}
        self._contexts = {
            FIRST_NODE_ID + i: Context(
                run_id=1,
                node_id=FIRST_NODE_ID + i,
                node_config={"partition-id": i, "num-partitions": nodes},
                state=RecordDict(),
                run_config=dict(run_config),
            )
            for i in range(nodes)
        }

    def set_run(self, run: Run) -> None:
        """There is one run only."""

    @property
    def run(self) -> Run:
        """An anonymous run."""
        return Run.create_empty(1)

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Flower's older spelling of ``Message(...)``."""
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Ids of the virtual clients."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Run the clients now; replies wait for ``pull_messages``."""
        ids = []
        for message, reply in self._answer(messages):
            self._replies[message.metadata.message_id] = reply
            ids.append(message.metadata.message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to these messages, each once."""
        return [self._replies.pop(i) for i in message_ids if i in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Run the clients and give their replies; nothing is lost here, so ``timeout`` has no use."""
        return [reply for _, reply in self._answer(messages)]

    def _answer(self, messages: Iterable[Message]) -> list[tuple[Message, Message]]:
        pending = list(messages)
        for message in pending:
            message.metadata.__dict__["_message_id"] = str(next(self._message_ids))
        return [(message, self._one(message)) for message in pending]

    def _one(self, message: Message) -> Message:
        try:
            reply = self._app(copy.deepcopy(message), self._contexts[message.metadata.dst_node_id])
        except Exception as error:  # a client's fault of any kind is that client's error reply, as in Flower's runtimes
            reply = Message(Error(code=0, reason=f"{type(error).__name__}: {error}"), reply_to=message)
        if self._on_answer is not None:
            self._on_answer()
        return reply


def drive(server_app: ServerApp, grid: Grid, run_config: Mapping[str, str | int | float | bool]) -> None:
    """Run a ServerApp over a grid in this process."""
    TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=dict(run_config))
    server_app(grid, context)
