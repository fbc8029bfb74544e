"""Ten steps of the real objective, dropout on, however the batch is divided and computed."""

import dataclasses

import numpy as np
import orbit
import pytest
import tensorflow as tf

from official_nlp.data.storage import data_folder
from official_nlp.training import AdamW, TrainingConfig, WarmupDecay, distribution, precision
from official_nlp.training.phase import stages
from official_nlp.training.trainer import PhaseTrainer
from tests.tasks.conftest import config, phase, pretraining

STEPS = 10
PHASE = phase(steps=STEPS, batch_size=8)
CONFIG = TrainingConfig(steps_per_loop=STEPS, warmup_steps=0, checkpoint_interval=None)


def _slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


def _trainer(folder, **changes):
    settings = dataclasses.replace(CONFIG, **changes)
    task = pretraining(config(), folder, seed=3, recompute=settings.recompute)
    strategy = distribution.create_strategy(settings.strategy)
    schedule = WarmupDecay(1e-3, PHASE.steps)
    (stage,) = stages([PHASE])
    with strategy.scope():
        with precision.policy(settings.policy):
            model = task.build()
        optimizer = AdamW(schedule)
        optimizer.build(task.trainable_variables(model, PHASE))
        step = orbit.utils.create_global_step()
        scale = precision.LossScale() if settings.policy == "mixed_float16" else None
    return PhaseTrainer(task, model, optimizer, schedule, step, stage, settings, strategy, scale)


def _run(folder, steps=STEPS, **changes):
    """Returns the variables by name, and the metrics."""
    trainer = _trainer(folder, **changes)
    metrics = trainer.train(tf.constant(steps))["train"]
    variables = trainer._model.variables
    return {f"{i} {v.name}": v.numpy() for i, v in enumerate(variables)}, metrics


@pytest.fixture(scope="module")
def whole(built):
    """Variables and metrics of ten whole batches on one device."""
    return _run(data_folder.open_folder(built))


def _assert_close(whole, other):
    for name, value in whole[0].items():
        # The gradient of a key's bias is 0 but for rounding, and so is what becomes of it.
        noise = 1e-6 if "key/bias" in name else 1e-7
        atol = max(1e-5 * np.abs(value).max(), noise)
        np.testing.assert_allclose(other[0][name], value, rtol=1e-5, atol=atol, err_msg=name)
    for name, value in whole[1].items():
        assert other[1][name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize(
    "changes",
    [
        _slow({"strategy": "mirrored"}),
        _slow({"accumulation": 2}),
        _slow({"recompute": True, "accumulation": 2}),
        _slow({"accumulation": 4}),
        _slow({"accumulation": 2, "strategy": "mirrored"}),
        _slow({"recompute": True}),
    ],
    ids=str,
)
def test_replicas_micro_batches_and_recomputation_give_the_same_update(
    whole, built, changes, two_devices
):
    _assert_close(whole, _run(data_folder.open_folder(built), **changes))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"jit_compile": True}, {"jit_compile": True, "strategy": "mirrored"}], ids=str
)
def test_a_compiled_step_gives_the_same_update(whole, built, changes, two_devices):
    _assert_close(whole, _run(data_folder.open_folder(built), **changes))


@pytest.mark.slow
def test_bfloat16_gives_nearly_the_metrics_of_float32(whole, built):
    variables, metrics = _run(data_folder.open_folder(built), policy="mixed_bfloat16")
    assert all(value.dtype == np.float32 for value in variables.values())
    assert metrics["loss"] == pytest.approx(whole[1]["loss"], rel=0.01)


@pytest.mark.slow
def test_float16_finds_its_scale_in_a_few_steps(built):
    variables, metrics = _run(data_folder.open_folder(built), policy="mixed_float16")
    assert all(np.isfinite(value).all() for value in variables.values())
    assert 0 < metrics["skipped_steps"] < STEPS / 2
    assert metrics["loss_scale"] == 2.0 ** (15 - metrics["skipped_steps"])


@pytest.mark.parametrize(
    "policy", ["mixed_float16", _slow("float32"), _slow("mixed_bfloat16")], ids=str
)
def test_every_shape_in_the_step_is_static(built, policy):
    trainer = _trainer(data_folder.open_folder(built), policy=policy, accumulation=2)
    batch = next(iter(trainer._task.train_dataset(0, PHASE, 0, 0, 1)))
    step = tf.function(trainer._replica_step).get_concrete_function(batch)
    graphs = [step.graph, *(f.graph for f in step.graph._functions.values() if hasattr(f, "graph"))]
    dynamic = {
        f"{op.type} {op.name}: {out.shape}"
        for graph in graphs
        for op in graph.get_operations()
        for out in op.outputs
        # Which axes a gradient is summed over is settled by static shapes; a loop's body is handed
        # things it does not use.
        if op.type != "BroadcastGradientArgs"
        and "redundant_placeholder" not in op.name
        and not out.shape.is_fully_defined()
    }
    assert not dynamic
    assert len(graphs) > 1


@pytest.mark.slow
def test_half_precision_falls_as_far_as_float32_in_five_hundred_steps(built, monkeypatch):
    monkeypatch.setattr(f"{__name__}.PHASE", dataclasses.replace(PHASE, steps=500))
    folder, firsts, ends = data_folder.open_folder(built), {}, {}
    for policy in precision.POLICIES:
        trainer = _trainer(folder, policy=policy)
        windows = [trainer.train(tf.constant(STEPS))["train"]["loss"] for _ in range(50)]
        firsts[policy], ends[policy] = windows[0], np.mean(windows[-10:])
    # float16 looks for its scale in the first steps, so its own first window is no beginning.
    falls = {policy: firsts["float32"] - end for policy, end in ends.items()}
    assert falls["float32"] > 5
    for fall in falls.values():
        assert fall == pytest.approx(falls["float32"], rel=0.02), falls
