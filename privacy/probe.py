"""A linear probe on private labels: a classifier on embeddings, as a release of its own (rule R20).

That a model was trained in private does not make what is learnt *with* it private: the weights of a probe tell of
the labels it saw. So a probe is trained by the same mechanism, and charged to the same ledger, where it composes with
whatever was released before; whose epsilon is reported is the ledger's, never the probe's alone.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privacy import mechanism
from privacy.ledger import Ledger, Release, code_digest, private_digest
from privacy.noise import KeyedStream
from privacy.plan import PrivacyError, PrivacyPlan

MICRO_BATCH_PEOPLE = 256  # per forward pass; bounds memory, changes nothing else


class Probe(nn.Module):
    """One linear layer on embeddings that are scaled to norm 1, each by itself; cross entropy per window."""

    def __init__(self, width: int, classes: int) -> None:
        """Begins at zero, so that it needs no seed."""
        super().__init__()
        self.head = nn.Linear(width, classes)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def logits(self, embeddings: Tensor) -> Tensor:
        """[..., width] -> [..., classes]."""
        logits: Tensor = self.head(F.normalize(embeddings, dim=-1))
        return logits

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Embeddings [people, windows, width] and classes [people, windows] -> loss [people, windows]."""
        embeddings, classes = batch
        return F.cross_entropy(self.logits(embeddings).movedim(-1, 1), classes, reduction="none")


def private_probe(
    embeddings: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    *,
    width: int,
    classes: int,
    plan: PrivacyPlan,
    ledger: Ledger,
    key: bytes,
    run: str,
    task: str,
    learning_rate: Callable[[int], float] = lambda _: 4.0,
) -> Probe:
    """A probe that is trained on private labels, once its price is in the ledger.

    Asked for the same again, it gives the same weights, and that is free (rule R19).

    Args:
        embeddings: By person, [windows, width]; from a public model, or from one that the same ledger paid for.
        labels: By person, a class for each window, [windows] int64.
        width: Of the embeddings, a public constant.
        classes: How many there are, a public constant.
        plan: The probe's own plan; all its steps are taken.
        ledger: The vendor's, for life.
        key: The vendor's secret.
        run: Which run asks.
        task: What is told apart; public.
        learning_rate: At each step, a public schedule.

    Raises:
        PrivacyError: If people, windows or classes do not fit together.
        BudgetExceeded: If the budget does not suffice; nothing is trained then.
    """
    people = sorted(embeddings)
    if set(people) != set(labels):
        raise PrivacyError(f"{len(set(people) ^ set(labels))} people have embeddings or labels, but not both")
    if any(embeddings[person].shape != (len(labels[person]), width) for person in people):
        raise PrivacyError(f"embeddings are not of {width=}, or a person has more or fewer of them than labels")
    if any(len(labels[p]) and not 0 <= int(labels[p].min()) <= int(labels[p].max()) < classes for p in people):
        raise PrivacyError(f"a label is not one of {classes} classes")
    parts = [part for p in people for part in (p.encode(), _bytes(embeddings[p]), _bytes(labels[p]))]
    release = Release.of(
        plan,
        steps=plan.steps,
        run=run,
        round=0,
        purpose=f"probe {task}",
        content=private_digest(
            key,
            code_digest(),
            repr((width, classes, plan, [learning_rate(s) for s in range(plan.steps)])).encode(),
            *parts,
        ),
    )
    ledger.charge(release)
    probe = Probe(width, classes)

    def draw(person: str, step: int, stream: KeyedStream) -> tuple[Tensor, Tensor] | None:
        del step
        own = len(labels[person])
        if not own:
            return None
        chosen = torch.from_numpy(stream.integers(own, plan.windows_per_person))
        return embeddings[person][chosen].float(), labels[person][chosen]

    module, optimizer, loader = mechanism.make_private(
        probe,
        torch.optim.SGD(probe.parameters(), lr=1.0),
        plan,
        people=people,
        draw=draw,
        collate=_together,
        streams=release.stream(key),
        steps=range(plan.steps),
        micro_batch=MICRO_BATCH_PEOPLE,
        learning_rate=learning_rate,
    )
    for batch in loader:
        optimizer.zero_grad()
        module(batch).mean().backward()
        optimizer.step()
    return probe


def _together(people: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([person[0] for person in people]), torch.stack([person[1] for person in people])


def _bytes(tensor: Tensor) -> bytes:
    return repr((tensor.dtype, tuple(tensor.shape))).encode() + tensor.detach().cpu().contiguous().numpy().tobytes()
