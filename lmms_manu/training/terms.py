"""Terms of an objective: a loss for each sequence of a batch, from what the model and the reference say of it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from torch import Tensor

from lmms_manu.training import losses
from lmms_manu.training.answers import Answers

Needs = Literal["nothing", "log_probs", "answers"]


@dataclasses.dataclass(frozen=True)
class Against:
    """What a term needs of the reference; what it does not need is None.

    Args:
        log_probs: float32 `[sequences]`.
        answers: to the same batch.
    """

    log_probs: Tensor | None = None
    answers: Answers | None = None


class Term:
    """A loss for each sequence."""

    needs: ClassVar[Needs] = "nothing"
    """What of the reference it needs."""

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        """The loss of each sequence, float32 `[sequences]`."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class CrossEntropy(Term):
    """Makes answers likelier."""

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        return losses.cross_entropy(answers.log_probs, answers.lengths)


@dataclasses.dataclass(frozen=True)
class Ascent(Term):
    """Makes answers less likely, without a bound."""

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        return losses.ascent(answers.log_probs, answers.lengths)


@dataclasses.dataclass(frozen=True)
class Closeness(Term):
    """Keeps the distribution at every trained token where the reference has it."""

    needs = "answers"

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        assert against.answers is not None
        return answers.means(losses.kl(against.answers.distributions, answers.distributions))


@dataclasses.dataclass(frozen=True)
class NpoTerm(Term):
    """Makes answers less likely than the reference has them, the less the further they are."""

    beta: float
    needs = "log_probs"

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        assert against.log_probs is not None
        return losses.npo(answers.log_probs, against.log_probs, self.beta)


@dataclasses.dataclass(frozen=True)
class SimNpoTerm(Term):
    """The same by the mean over tokens, without a reference."""

    beta: float
    margin: float

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        return losses.simnpo(answers.log_probs, answers.lengths, self.beta, self.margin)


@dataclasses.dataclass(frozen=True)
class UndialTerm(Term):
    """Teaches the reference's distribution with the true token lowered."""

    strength: float
    needs = "answers"

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        assert against.answers is not None
        return answers.means(
            losses.undial(against.answers.logits, answers.distributions, answers.tokens, self.strength)
        )


@dataclasses.dataclass(frozen=True)
class Misdirect(Term):
    """Drives hidden states to one random direction, `scale` times as long as they were.

    Args:
        direction: float32 `[features]`, of length 1.
        scale: of the mean length of the sequence's hidden states in the reference.
    """

    direction: Tensor
    scale: float
    needs = "answers"

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        assert answers.hidden is not None
        assert against.answers is not None
        assert against.answers.hidden is not None
        length = answers.means(against.answers.hidden.norm(dim=-1)).repeat_interleave(answers.lengths)
        target = self.scale * length.unsqueeze(-1) * self.direction.to(length.device)
        return answers.means(losses.misdirection(answers.hidden, target))


@dataclasses.dataclass(frozen=True)
class Steer(Term):
    """Drives hidden states to one place, the same for all.

    Args:
        target: float32 `[features]`.
    """

    target: Tensor

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        assert answers.hidden is not None
        return answers.means(losses.misdirection(answers.hidden, self.target.to(answers.hidden.device)))


@dataclasses.dataclass(frozen=True)
class Hold(Term):
    """Keeps hidden states where the reference has them."""

    needs = "answers"

    def __call__(self, answers: Answers, against: Against) -> Tensor:
        assert answers.hidden is not None
        assert against.answers is not None
        assert against.answers.hidden is not None
        return answers.means(losses.misdirection(answers.hidden, against.answers.hidden))
