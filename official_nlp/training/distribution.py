"""Distribution strategies by name, and one stream of examples for all replicas."""

import functools
import json
import os
from collections.abc import Callable

import tensorflow as tf

from official_nlp.errors import InputError


def _one_device() -> tf.distribute.Strategy:
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One per process: a second strategy numbers its collective operations like the first, and
    # TensorFlow confuses them.
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    cpus = tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(
        [cpu.name for cpu in cpus], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    try:
        cluster = json.loads(os.environ["TF_CONFIG"])
        workers, index = cluster["cluster"]["worker"], cluster["task"]["index"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "strategy='multi_worker' needs TF_CONFIG in the environment, as "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}; '
            "tools/workers.py sets it"
        ) from error
    if not 0 <= index < len(workers):
        raise InputError(
            f"TF_CONFIG's task index must be one of its {len(workers)} workers, was {index}"
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


@functools.cache
def _tpu() -> tf.distribute.Strategy:
    # On a TPU VM the chips are local; TPU_NAME names a TPU elsewhere.
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"strategy='tpu' finds no TPU named {name!r} ({str(error).splitlines()[0]}); run it on "
            "a TPU VM, or name one by TPU_NAME"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


# one_device: the first GPU, or the CPU. mirrored: all GPUs of this machine, or all logical CPUs.
# multi_worker: all GPUs, or the CPU, of each process that TF_CONFIG lists. tpu: all cores.
STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}


def require_known(name: str) -> None:
    """Raise `InputError` for an unknown name of a strategy."""
    if name not in STRATEGIES:
        raise InputError(f"strategy must be one of {', '.join(STRATEGIES)}, was {name!r}")


def create_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy of a name in `STRATEGIES`.

    Call it before the first operation runs: several processes must connect first.
    """
    require_known(name)
    return STRATEGIES[name]()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is the one that writes the run folder."""
    resolver = strategy.cluster_resolver
    # A TPU has one process, whose job has another name.
    if resolver is None or resolver.task_type not in ("chief", "worker"):
        return True
    # Worker 0 is the chief of a cluster without a job of this name.
    job = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return resolver.task_type == job and not resolver.task_id


def any_process(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Return whether the flag is true in any process; all of them must call at the same step."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        # A tensor as the argument, so that the function is traced once, not once for each value.
        return bool(_added(strategy)(tf.constant(float(flag))) > 0)
    return flag


def agreed(strategy: tf.distribute.Strategy, number: float) -> float:
    """Return the mean of a number over all processes; all of them must call it alike."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return float(_added(strategy)(tf.constant(number))) / strategy.num_replicas_in_sync
    return number


@functools.cache
def _added(strategy):
    @tf.function
    def added(number):
        return strategy.reduce("SUM", strategy.run(lambda: number), axis=None)

    return added


def replicas_and_hosts(name: str) -> tuple[int, int]:
    """Return the number of replicas of a strategy, and of processes that read data."""
    strategy = create_strategy(name)
    resolver = strategy.cluster_resolver
    tasks = resolver.cluster_spec().as_dict() if resolver else {}
    hosts = sum(len(tasks.get(job, [])) for job in ("chief", "worker"))
    return strategy.num_replicas_in_sync, max(hosts, 1)


def distribute(
    strategy: tf.distribute.Strategy, make_dataset: Callable[[int, int], tf.data.Dataset]
) -> tf.distribute.DistributedDataset:
    """Return a dataset of global batches, divided into consecutive examples for the replicas.

    Args:
      strategy: a strategy.
      make_dataset: called with `(host, hosts)`, returns endless batches of this host, dicts of
        tensors, which are divided among the host's replicas. Their batch axis is static.

    Raises:
      InputError: a batch cannot be divided, or has no static shape on a TPU.
    """

    def dataset_fn(context: tf.distribute.InputContext) -> tf.data.Dataset:
        hosts = max(context.num_input_pipelines, 1)
        replicas = max(context.num_replicas_in_sync // hosts, 1)
        dataset = make_dataset(context.input_pipeline_id, hosts)
        if isinstance(strategy, tf.distribute.TPUStrategy):
            _require_static(dataset)
        dataset = dataset if replicas == 1 else _cut(dataset, replicas)
        # From a dataset that may end, several hosts would get batches of unknown size.
        return dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return strategy.distribute_datasets_from_function(dataset_fn)


def share_of_host(dataset: tf.data.Dataset, host: int, hosts: int) -> tf.data.Dataset:
    """Return this host's consecutive examples of each batch of a dataset that all hosts read."""
    if hosts == 1:
        return dataset
    return _rows(dataset, hosts, "hosts").map(lambda parts: {n: x[host] for n, x in parts.items()})


def _cut(dataset: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Divide each batch into equal parts of consecutive examples."""
    # `distribute_datasets_from_function` gives consecutive elements to consecutive replicas.
    return _rows(dataset, replicas, "replicas").unbatch()


def _require_static(dataset):
    for name, spec in dataset.element_spec.items():
        if not spec.shape.is_fully_defined():
            raise InputError(
                f"on a TPU every batch must have the same shape, {name} has shape {spec.shape}; "
                "pad all examples to one length"
            )


def divided(examples: tf.Tensor, parts: int) -> tf.Tensor:
    """Reshape `[B, ...]` to `[parts, B / parts, ...]`; one axis other than B may be unknown."""
    size, *rest = examples.shape
    rest = [-1 if length is None else length for length in rest]
    return tf.reshape(examples, [parts, size // parts, *rest])


def _rows(dataset, parts: int, of: str):
    """Divide each batch into rows of consecutive examples."""
    for name, spec in dataset.element_spec.items():
        if not spec.shape.rank or not spec.shape[0] or spec.shape[0] % parts:
            raise InputError(
                f"batch_size must be a multiple of the number of {of} ({parts}), "
                f"{name} has shape {spec.shape}"
            )
    return dataset.map(lambda batch: {name: divided(x, parts) for name, x in batch.items()})
