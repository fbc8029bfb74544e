"""The errors that the command turns into one line and an exit code."""


class InputError(ValueError):
    """What the caller gave cannot be used: the message names it, says why and what to do."""

    # By this AutoGraph knows that one message makes such an error, and hands it on as what it is.
    __init__ = Exception.__init__


class NotFiniteError(RuntimeError):
    """A loss term, or the gradient, became infinite or not a number.

    Attributes:
      term: name of the first term that was not finite.
      step: the step, counted from 1, whose update was refused.
    """

    def __init__(self, term: str, step: int):
        super().__init__(
            f"{term} is not finite at step {step}; that step and those after it changed nothing. "
            "The last checkpoint is from before; a new run with a lower learning rate or a longer "
            "warm-up may do better."
        )
        self.term = term
        self.step = step


class Preempted(RuntimeError):
    """The run was asked to stop, and has saved its state."""


class StorageError(RuntimeError):
    """Something could not be written: the disk is full, or refuses. What was saved is whole."""
