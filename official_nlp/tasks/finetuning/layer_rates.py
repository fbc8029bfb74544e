"""Learning rates that decrease from the head to the embeddings."""


def rate_scale(depth: int, layers: int, decay: float, reference_off_by_one: bool = False) -> float:
    """Return the factor on the learning rate of a variable.

    Lower layers hold what most tasks share, so they are changed less: the head has the factor 1,
    the top layer `decay`, and each layer below, the embeddings at last, `decay` times the factor
    of the one above.

    Args:
      depth: depth of the variable, from 0 to `layers + 1`; see `modeling.layer_depths`.
      layers: number of layers of the encoder.
      decay: factor between two layers; 1 for equal rates.
      reference_off_by_one: skip one power between the head and the top layer, which then has
        `decay ** 2`, as google-research/electra does (`ReferenceQuirks.layer_decay_off_by_one`).

    Reference: Clark et al. 2020 (arXiv 2003.10555), appendix B.
    """
    below_head = layers + 1 - depth
    if reference_off_by_one and below_head > 0:
        below_head += 1
    return decay**below_head
