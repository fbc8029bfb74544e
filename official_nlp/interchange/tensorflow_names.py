"""Translate variable names of the TensorFlow classes of transformers to those of torch."""

# Keras names the tables of `Embedding` layers "embeddings". transformers' own word embeddings are
# named "weight" already.
_LEAVES = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


def torch_name(path: str) -> tuple[str, bool]:
    """Return the name in torch, and whether torch stores the tensor transposed.

    Args:
      path: name of the variable without the scope of the model, such as
        `electra/encoder/layer_._0/output/dense/kernel:0`.
    """
    *scopes, leaf = path.replace("layer_._", "layer/").removesuffix(":0").split("/")
    return ".".join([*scopes, _LEAVES.get(leaf, leaf)]), leaf == "kernel"
