"""Names of variables in Hugging Face's TensorFlow classes, as those in torch have them."""

_LEAVES = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


def in_torch(path: str) -> tuple[str, bool]:
    """Returns the name in torch, and whether the tensor is a map, which torch has transposed.

    Args:
      path: without the scope of the model: electra/encoder/layer_._0/output/dense/kernel:0, say.
    """
    *scopes, leaf = path.replace("layer_._", "layer/").removesuffix(":0").split("/")
    return ".".join([*scopes, _LEAVES.get(leaf, leaf)]), leaf == "kernel"
