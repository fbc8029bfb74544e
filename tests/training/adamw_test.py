import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.training import AdamW, WarmupDecay, distribution

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "google_optimizer"
RUNS = ("pretrain", "pretrain_power2_nowarm", "no_decay")


def _split(flat, shapes):
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes)]


def _reference(kwargs):
    schedule = WarmupDecay(
        kwargs["learning_rate"],
        kwargs["num_train_steps"],
        kwargs["warmup_steps"],
        power=kwargs.get("lr_decay_power", 1.0),
        from_zero=True,
    )
    return AdamW(schedule, weight_decay=kwargs["weight_decay_rate"], bias_correction=False)


@pytest.mark.parametrize("run", RUNS)
def test_updates_equal_those_of_the_reference_optimizer_step_by_step(run):
    expected = np.load(GOLDEN / "expected.npz")
    meta = json.loads((GOLDEN / "meta.json").read_text())[run]
    shapes = list(meta["variables"].values())
    parameters, gradients = expected[f"{run}__parameters"], expected[f"{run}__gradients"]
    variables = [
        tf.Variable(value, name=name)
        for name, value in zip(meta["variables"], _split(parameters[0], shapes))
    ]
    optimizer = _reference(meta["create_optimizer"])

    for step, gradient in enumerate(gradients):
        rate = optimizer._learning_rate(step)
        np.testing.assert_allclose(rate, expected[f"{run}__learning_rate"][step], atol=1e-9)
        optimizer.apply_gradients(zip(_split(gradient, shapes), variables))
        now = np.concatenate([variable.numpy().ravel() for variable in variables])
        np.testing.assert_allclose(now, parameters[step + 1], rtol=0, atol=5e-7)

    for slots, name in ((optimizer._means, "m"), (optimizer._squares, "v")):
        flat = np.concatenate([slot.numpy().ravel() for slot in slots])
        # In the kernel, 1 - 0.999 in float32 is 1.3e-5 less than 0.001; the update corrects it.
        np.testing.assert_allclose(flat, expected[f"{run}__{name}"], rtol=2e-5, atol=1e-8)


def _numpy_adamw(p, gradients, rate, decay, clip=1.0, b1=0.9, b2=0.999, eps=1e-6):
    p, m, v = p.astype(np.float64), 0.0, 0.0
    for n, g in enumerate(gradients.astype(np.float64), 1):
        g = g / max(1.0, np.linalg.norm(g) / clip)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = (m / (1 - b1**n)) / (np.sqrt(v / (1 - b2**n)) + eps) + decay * p
        p = p - rate * u
    return p


def test_both_moments_are_corrected_for_their_initial_value_of_0():
    rng = np.random.default_rng(0)
    start = rng.normal(size=[5, 3]).astype(np.float32)
    gradients = rng.normal(size=[12, 5, 3]).astype(np.float32) * 10.0 ** rng.uniform(
        -6, 1, size=[12, 1, 1]
    ).astype(np.float32)
    variable = tf.Variable(start, name="kernel")
    optimizer = AdamW(0.01, weight_decay=0.1)
    for gradient in gradients:
        optimizer.apply_gradients([(gradient, variable)])
    np.testing.assert_allclose(
        variable.numpy(), _numpy_adamw(start, gradients, 0.01, 0.1), atol=2e-6
    )


def test_with_betas_of_0_an_update_is_the_sign_of_the_gradient():
    variable = tf.Variable([1.0, 1.0])
    optimizer = AdamW(0.1, beta_1=0.0, beta_2=0.0, weight_decay=0.0)
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant([0.3, -0.2]), variable)])
    np.testing.assert_allclose(variable.numpy(), [0.8, 1.2], atol=1e-5)


@pytest.mark.parametrize("field", ["beta_1", "beta_2"])
@pytest.mark.parametrize("value", [1.0, -0.1])
def test_a_beta_outside_its_range_is_refused(field, value):
    with pytest.raises(InputError, match=f"{field} must be at least 0 and below 1, was {value}"):
        AdamW(**{field: value})


def test_a_variable_that_joins_later_starts_with_its_own_first_update():
    early, late = tf.Variable([1.0], name="early"), tf.Variable([1.0], name="late")
    optimizer = AdamW(0.01, weight_decay=0.0)
    optimizer.build([early, late])
    for _ in range(50):
        optimizer.apply_gradients([(tf.constant([0.5]), early)])
    optimizer.apply_gradients([(tf.constant([0.5]), early), (tf.constant([0.5]), late)])
    # The first update of Adam has the length of the learning rate.
    np.testing.assert_allclose(late.numpy(), [0.99], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("dense/kernel", True),
        ("word_embeddings/embeddings", True),
        ("alphabet/kernel", True),
        ("dense/bias", False),
        ("generator_predictions/output_bias", False),
        ("encoder/LayerNorm/gamma", False),
        ("embeddings/layer_norm/beta", False),
        ("gamma", False),
    ],
)
def test_layer_normalization_and_biases_are_not_decayed(name, decays):
    variable = tf.Variable([2.0], name=name)
    optimizer = AdamW(0.1, weight_decay=0.5)
    assert optimizer.decays(variable) == decays
    optimizer.apply_gradients([(tf.constant([0.0]), variable)])
    np.testing.assert_allclose(variable.numpy(), [2.0 * (0.95 if decays else 1.0)])


def test_gradients_are_clipped_by_their_global_norm():
    one, other = tf.Variable([0.0]), tf.Variable([0.0])
    optimizer = AdamW(1.0, beta_1=0.0, weight_decay=0.0, bias_correction=False)
    optimizer.apply_gradients([(tf.constant([30.0]), one), (tf.constant([40.0]), other)])
    np.testing.assert_allclose([optimizer._means[0][0], optimizer._means[1][0]], [0.6, 0.8])


def test_a_sparse_gradient_has_the_effect_of_the_dense_one():
    indices, values = tf.constant([1, 3, 1]), tf.constant([[1.0], [2.0], [3.0]])
    results = []
    for sparse in (True, False):
        table = tf.Variable(tf.ones([5, 1]), name="table")
        gradient = tf.IndexedSlices(values, indices, tf.constant([5, 1]))
        optimizer = AdamW(0.1)
        for _ in range(2):
            optimizer.apply_gradients(
                [(gradient if sparse else tf.convert_to_tensor(gradient), table)]
            )
        results.append(table.numpy())
    np.testing.assert_array_equal(results[0], results[1])


def _bits(optimizer, *variables):
    return [np.asarray(x).tobytes() for x in [*variables, *optimizer.variables]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1.0])
def test_a_closed_gate_changes_no_bit(bad):
    # Adding 0 would turn the negative zero into a positive one.
    kernel, bias = tf.Variable([-0.0, 1.0], name="kernel"), tf.Variable([2.0], name="bias")
    optimizer = AdamW(WarmupDecay(0.1, 10, 2))

    @tf.function
    def step(gradient, gate):
        optimizer.apply_gradients([(gradient, kernel), (gradient[:1], bias)], gate=gate)

    step(tf.constant([0.0, 1.0]), tf.constant(True))
    before = _bits(optimizer, kernel, bias)
    step(tf.constant([bad, 1.0]), tf.constant(False))
    assert _bits(optimizer, kernel, bias) == before
    step(tf.constant([1.0, 1.0]), tf.constant(True))
    assert _bits(optimizer, kernel, bias) != before
    assert int(optimizer.iterations) == 2


def test_two_replicas_equal_one_and_share_the_gate(two_devices):
    strategy = distribution.create_strategy("mirrored")
    assert strategy.num_replicas_in_sync == len(two_devices)
    with strategy.scope():
        variable = tf.Variable([1.0, -2.0], name="kernel")
        optimizer = AdamW(WarmupDecay(0.1, 10, 2))
        optimizer.build([variable])
    single = tf.Variable([1.0, -2.0], name="kernel")
    reference = AdamW(WarmupDecay(0.1, 10, 2))

    @tf.function
    def step(gradient, gate):
        def replica(gradient):
            scale = tf.cast(
                tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32
            )
            optimizer.apply_gradients([(gradient * (scale + 1) / 3, variable)], gate=gate)

        strategy.run(replica, args=(gradient,))

    for number in range(4):
        gradient = tf.constant([0.1 * number, -0.2])
        step(gradient, tf.constant(True))
        reference.apply_gradients([(gradient, single)])
        step(gradient * float("nan"), tf.constant(False))
    copies = [x.numpy() for x in strategy.experimental_local_results(variable)]
    np.testing.assert_array_equal(copies[0], copies[1])
    np.testing.assert_allclose(copies[0], single.numpy(), rtol=1e-6)
    counts = strategy.experimental_local_results(optimizer.iterations)
    assert [int(count) for count in counts] == [4, 4]


def test_the_configuration_survives_json():
    optimizer = AdamW(WarmupDecay(1e-3, 100, 10, power=2.0), weight_decay=0.2, epsilon=1e-7)
    text = json.dumps(tf_keras.optimizers.serialize(optimizer))
    again = tf_keras.optimizers.deserialize(json.loads(text))
    assert isinstance(again, AdamW)
    assert again.get_config() == optimizer.get_config()
    assert again._learning_rate.power == 2.0


def test_fit_trains_with_it():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=[64, 4]).astype(np.float32)
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    model.compile(AdamW(0.05), loss="mse")
    history = model.fit(rows, rows @ [1.0, -1.0, 2.0, 0.5], epochs=30, batch_size=16, verbose=0)
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]


def test_update_step_changes_one_variable():
    variable = tf.Variable([1.0])
    optimizer = AdamW(0.01, weight_decay=0.0)
    optimizer.build([variable])
    optimizer.update_step(tf.constant([0.5]), variable)
    np.testing.assert_allclose(variable.numpy(), [0.99], atol=1e-5)


@pytest.mark.parametrize("bias_correction", [True, False])
def test_the_rate_of_a_variable_can_be_scaled(bias_correction):
    names = {"embeddings": 0.0, "layer_0": 0.5, "layer_1": 1.0}
    variables = [tf.Variable([1.0, -2.0], name=name) for name in names]
    optimizer = AdamW(
        0.1,
        weight_decay=0.1,
        bias_correction=bias_correction,
        learning_rate_scale=lambda variable: names[variable.name.partition(":")[0]],
    )
    gradient = tf.constant([0.3, -0.2])
    optimizer.apply_gradients([(gradient, variable) for variable in variables])
    none, half, whole = (variable.numpy() - [1.0, -2.0] for variable in variables)
    np.testing.assert_array_equal(none, [0.0, 0.0])
    # Update and weight decay are scaled alike.
    np.testing.assert_allclose(half, whole / 2, rtol=1e-5)
    assert (np.abs(whole) > 0.01).all()


def test_without_any_gradient_nothing_happens():
    optimizer = AdamW()
    assert int(optimizer.apply_gradients([(None, tf.Variable([1.0]))])) == 0


def test_an_unknown_variable_is_named():
    optimizer = AdamW()
    optimizer.build([tf.Variable([1.0], name="known")])
    with pytest.raises(InputError, match="variable stranger:0 is unknown"):
        optimizer.apply_gradients([(tf.constant([1.0]), tf.Variable([1.0], name="stranger"))])
