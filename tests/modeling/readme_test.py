"""The examples of the page of the folder run and learn; its porting table is complete."""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import modeling, randomness
from official_nlp.modeling import layers, models, networks

ROWS = re.compile(r"^\| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def page(repository):
    """The text of the page."""
    return (repository / "official_nlp" / "modeling" / "README.md").read_text()


@pytest.fixture(scope="module")
def snippets(page):
    """The examples in order."""
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.fixture(scope="module")
def table(page):
    """The porting table, our name to the other cells of its row."""
    rows = ROWS.findall(page.partition("## Coming from tfnlp")[2])
    return {ours.strip("`"): (theirs, differs) for theirs, ours, differs in rows if "`" in ours}


@pytest.fixture(scope="module")
def examples(snippets, tmp_path_factory):
    """The variables after each example; the second example uses those of the first."""
    names, after = {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("examples"))
        for snippet in snippets:
            exec(snippet, names)
            after.append(dict(names))
    return after


def test_the_first_example_takes_less_than_forty_lines(snippets):
    assert len([line for line in snippets[0].splitlines() if line.strip()]) < 40


def test_the_first_example_learns_to_fill_blanks(examples):
    model, batch, history = (examples[0][name] for name in ("model", "batch", "history"))
    assert history["loss"][-1] < history["loss"][0] / 2
    filled = tf.argmax(model(batch)["lm_outputs"], axis=-1)
    assert np.mean(filled == batch["masked_lm_ids"]) > 0.5


def test_the_second_example_learns(examples):
    history = examples[1]["history"]
    assert history["mlm_loss"][-1] < history["mlm_loss"][0]
    assert history["loss"][-1] < history["loss"][0] / 2


def test_the_second_example_loads_its_model_with_the_custom_block(examples):
    names = examples[1]
    batch = {name: tf.constant(value[:4]) for name, value in names["batch"].items()}
    outputs = []
    for model in (names["model"], names["loaded"]):
        blocks = model.discriminator_network.hidden_layers
        assert [type(block) for block in blocks] == [names["GatedBlock"]] * 2
        with randomness.stream(randomness.Key(1)):
            outputs.append(model(batch))
    for name, value in outputs[0].items():
        np.testing.assert_array_equal(value, outputs[1][name], err_msg=name)


def test_every_file_and_folder_is_on_the_page(page, repository):
    for path in (repository / "official_nlp" / "modeling").iterdir():
        if path.suffix == ".py" and path.stem != "__init__":
            assert f"`{path.name}`" in page
        elif path.is_dir() and path.name != "__pycache__":
            assert f"`{path.name}/`" in page


@pytest.mark.parametrize(
    "name", [name for part in (layers, networks, models) for name in part.__all__]
)
def test_every_class_has_a_row(table, name):
    assert name in table


# Slow because of the import, which takes ten seconds.
@pytest.mark.slow
def test_every_row_names_a_class_here_and_a_class_of_tfnlp(table):
    from official.nlp.configs import encoders  # noqa: TID251
    from official.nlp.modeling import layers as tfnlp_layers  # noqa: TID251
    from official.nlp.modeling import models as tfnlp_models  # noqa: TID251
    from official.nlp.modeling import networks as tfnlp_networks  # noqa: TID251

    tfnlp = {
        "layers": tfnlp_layers,
        "networks": tfnlp_networks,
        "models": tfnlp_models,
        "encoders": encoders,
    }
    ours = {name for part in (layers, networks, models) for name in part.__all__}
    assert not set(table) - ours
    for theirs, _ in table.values():
        for path in re.findall(r"`(\w+\.\w+)`", theirs):
            part, _, name = path.partition(".")
            assert hasattr(tfnlp[part], name), path


def refused():
    """Yield pairs of a class and an unsupported argument, from the table of the module."""
    for info in pkgutil.walk_packages(modeling.__path__, "official_nlp.modeling."):
        module = importlib.import_module(info.name)
        table = getattr(module, "REFUSED", getattr(module, "_REFUSED", None))
        if table is not None:
            classes = inspect.getmembers(module, inspect.isclass)
            (cls,) = [name for name, value in classes if value.__module__ == info.name]
            yield from ((cls, argument) for argument in table)


def test_every_unsupported_argument_is_in_the_row_of_its_class(table):
    pairs = list(refused())
    assert ("OnDeviceEmbedding", "weight_fallback_dtype") in pairs
    missing = [(cls, name) for cls, name in pairs if f"`{name}`" not in table[cls][1]]
    assert not missing
