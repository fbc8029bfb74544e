"""Check, without a TPU, that the TPU compiler accepts the whole training step.

TensorFlow and libtpu do not work in one environment, so two are needed:

    python tools/tpu_check.py lower step.mlir --data demo/data
    python -m venv tpu && tpu/bin/pip install "jax[tpu]==0.10.2"
    tpu/bin/python tools/tpu_check.py compile step.mlir

The first command lowers the step of one replica (forward pass, backward pass, update, metrics) to
StableHLO. The last compiles it for a TPU v4 and prints the memory that it would need there. This
shows that a TPU accepts all operations and shapes; it does not show that TPUStrategy works.
"""

import argparse
import os
import pathlib
import sys
import time

TOPOLOGY = "v4:2x2x1"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("lower", help="write the step of a data folder")
    verb.add_argument("file", type=pathlib.Path)
    verb.add_argument("--data", required=True, help="a data folder")
    verb.add_argument("--preset", default="small", help="name of an ElectraConfig preset")
    verb.add_argument("--layers", type=int, help="fewer layers, for a quick check")
    verb.add_argument("--batch", type=int, default=8)
    verb.add_argument("--policy", default="mixed_bfloat16")
    verb.add_argument("--accumulation", type=int, default=1)
    verb = verbs.add_parser("compile", help="compile what `lower` wrote")
    verb.add_argument("file", type=pathlib.Path)
    arguments = parser.parse_args()
    return lower(arguments) if arguments.verb == "lower" else compile_(arguments.file)


def lower(arguments) -> int:
    import dataclasses

    import orbit
    import tensorflow as tf

    from official_nlp.modeling.networks import ElectraConfig
    from official_nlp.tasks import PretrainingConfig
    from official_nlp.training import AdamW, PhaseConfig, TrainingConfig, WarmupDecay, precision
    from official_nlp.training.phase import stages
    from official_nlp.training.trainer import PhaseTrainer

    discriminator = ElectraConfig.preset(arguments.preset)
    if arguments.layers:
        discriminator = dataclasses.replace(discriminator, num_hidden_layers=arguments.layers)
    config = TrainingConfig(policy=arguments.policy, accumulation=arguments.accumulation)
    task_config = PretrainingConfig(discriminator.generator(), discriminator)
    data = task_config.open_data(arguments.data)
    task = task_config.make({None: data}, config)
    length = data.folder.index.longest_row
    phase = PhaseConfig(steps=1000, batch_size=arguments.batch, length=length)
    (stage,) = stages([phase.with_loss_weights(task.loss_weights)])
    with precision.policy(config.policy):
        model = task.build()
    schedule = WarmupDecay(5e-4, 1000)
    optimizer = AdamW(schedule)
    optimizer.build(task.trainable_variables(model, phase))
    step = orbit.utils.create_global_step()
    trainer = PhaseTrainer(
        task, model, optimizer, schedule, step, stage, config, tf.distribute.get_strategy()
    )
    batch = next(iter(task.train_dataset(0, phase, 0, 0, 1)))
    compiled = tf.function(trainer._replica_step, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(batch)(stage="stablehlo")
    # A copy, which StableHLO does not have; a barrier is one that is not optimized away.
    arguments.file.write_text(text.replace("mhlo.copy", "stablehlo.optimization_barrier"))
    print(f"wrote {arguments.file}: {text.count('stablehlo.')} operations")
    return 0


def compile_(file: pathlib.Path) -> int:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    from jax._src.interpreters import mlir as jax_mlir
    from jax._src.lib import xla_client
    from jax.experimental import topologies
    from jaxlib.mlir import ir

    device = topologies.get_topology_desc(TOPOLOGY, "tpu").devices[0]
    start = time.perf_counter()
    with jax_mlir.make_ir_context():
        executable = device.client.compile(
            ir.Module.parse(file.read_text()),
            xla_client.DeviceList((device,)),
            xla_client.CompileOptions(),
        )
    memory = executable.get_compiled_memory_stats()
    print(
        f"compiled for TPU {TOPOLOGY} in {time.perf_counter() - start:.0f} s: "
        f"variables and batch {memory.argument_size_in_bytes / 1e6:.0f} MB, "
        f"temporary {memory.temp_size_in_bytes / 1e6:.0f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
