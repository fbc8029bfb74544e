"""Where the original implementation does something odd, the choice has a name here."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReferenceQuirks:
    """Switches between what is right (the default) and what google-research/electra computes.

    Attributes:
      mask_with_replacement: positions to predict are drawn with replacement, so that some are
        drawn twice and fewer are masked than asked for (about 7 % of them at 15 %).
      average_duplicates: where a position was drawn twice, the generator's two samples are
        averaged with floor division, which makes a third, arbitrary token. Else the first counts.
      bias_correction: Adam divides its moments by `1 - beta ** t`. The original does not.
      warmup_from_zero: the first update has learning rate 0, as the schedule is read at the
        number of finished steps; else warm-up starts at `1 / warmup_steps`.
      loss_per_replica: each replica divides its loss by its own number of tokens, and the ratios
        are averaged; else sums and weights are added over replicas before one division.
    """

    mask_with_replacement: bool = False
    average_duplicates: bool = False
    bias_correction: bool = True
    warmup_from_zero: bool = False
    loss_per_replica: bool = False

    @classmethod
    def original(cls) -> "ReferenceQuirks":
        """All quirks of the original, for reproduction of its numbers."""
        return cls(
            mask_with_replacement=True,
            average_duplicates=True,
            bias_correction=False,
            warmup_from_zero=True,
            loss_per_replica=True,
        )
