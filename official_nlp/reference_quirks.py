"""Bug-compatible mode: switches for the quirks of the reference implementation."""

import dataclasses

from official_nlp import ranges


@dataclasses.dataclass(frozen=True)
class ReferenceQuirks:
    """Select, for each quirk of google-research/electra, whether to reproduce it.

    The defaults are correct; `original()` turns all quirks on.

    Attributes:
      mask_with_replacement: draw the positions to predict with replacement. Some are then drawn
        twice, so that fewer tokens are masked than configured (about 7 % fewer at 15 %).
      average_duplicates: if a position was drawn twice, average the ids of the generator's two
        samples with floor division, which results in a third, arbitrary token. By default the first
        sample counts.
      bias_correction: divide the moments of Adam by `1 - beta ** t`. The original does not.
      warmup_from_zero: give the first update the learning rate 0, because the schedule is read at
        the number of finished steps. By default warm-up starts at `1 / warmup_steps`.
      loss_per_replica: divide the loss of each replica by its own number of tokens, then average
        over replicas. By default sums and weights are added over replicas before one division.
      layer_decay_off_by_one: in fine-tuning, give the top layer of the encoder the squared decay of
        learning rates, and all layers below one power more. By default the top layer has the
        decay itself.
    """

    mask_with_replacement: bool = False
    average_duplicates: bool = False
    bias_correction: bool = True
    warmup_from_zero: bool = False
    loss_per_replica: bool = False
    layer_decay_off_by_one: bool = False

    def __post_init__(self) -> None:
        ranges.check(self, {field.name: ranges.Flag() for field in dataclasses.fields(self)})

    @classmethod
    def original(cls) -> "ReferenceQuirks":
        """Return the settings of the original, to reproduce its results."""
        return cls(
            mask_with_replacement=True,
            average_duplicates=True,
            bias_correction=False,
            warmup_from_zero=True,
            loss_per_replica=True,
            layer_decay_off_by_one=True,
        )
