"""Where a run runs: strategies by name, and the one stream of rows seen by every replica."""

import functools

import tensorflow as tf

from official_nlp.errors import InputError


def _one_device() -> tf.distribute.Strategy:
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One a process: a second strategy numbers its collective operations like the first, and
    # TensorFlow takes one for the other.
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    cpus = tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(
        [cpu.name for cpu in cpus], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


# one_device: the first GPU, or the CPU. mirrored: all GPUs of this machine, or all logical CPUs.
STRATEGIES = {"one_device": _one_device, "mirrored": _mirrored}


def require_known(name: str) -> None:
    """Raises `InputError` for the name of a strategy that does not exist."""
    if name not in STRATEGIES:
        raise InputError(f"strategy must be one of {', '.join(STRATEGIES)}, was {name!r}")


def create_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy of a name in `STRATEGIES`."""
    require_known(name)
    return STRATEGIES[name]()


def distribute(strategy: tf.distribute.Strategy, make_dataset):
    """Returns a dataset of global batches, cut into consecutive rows for the replicas.

    Args:
      strategy: a strategy.
      make_dataset: called with `(host, hosts)`, returns this host's batches, dicts of tensors with
        static shapes; their rows are divided among the host's replicas.
    """

    def dataset_fn(context: tf.distribute.InputContext) -> tf.data.Dataset:
        hosts = max(context.num_input_pipelines, 1)
        replicas = max(context.num_replicas_in_sync // hosts, 1)
        dataset = make_dataset(context.input_pipeline_id, hosts)
        return dataset if replicas == 1 else _cut(dataset, replicas)

    return strategy.distribute_datasets_from_function(dataset_fn)


def _cut(dataset: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Divides each batch into equal parts of consecutive rows, in order, with static shapes."""
    for name, spec in dataset.element_spec.items():
        if not spec.shape.rank or not spec.shape[0] or spec.shape[0] % replicas:
            raise InputError(
                f"batch_size must be a multiple of the number of replicas ({replicas}), "
                f"{name} has shape {spec.shape}"
            )

    def parts(batch):
        return {
            name: tf.reshape(x, [replicas, x.shape[0] // replicas, *x.shape[1:]])
            for name, x in batch.items()
        }

    return dataset.map(parts).unbatch()
