"""The examples in the docstrings run and give the results that they show."""

import doctest
import importlib
import pkgutil

import pytest
import tensorflow as tf
import tf_keras

from official_nlp import modeling, randomness
from official_nlp.modeling import layers, losses, models, networks, ops

# What the examples assume to be imported.
NAMES = {
    "tf": tf,
    "tf_keras": tf_keras,
    "layers": layers,
    "losses": losses,
    "ops": ops,
    "randomness": randomness,
    **{name: getattr(part, name) for part in (layers, networks, models) for name in part.__all__},
}


def examples():
    """Yield the examples of all modules in the folder."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for info in pkgutil.walk_packages(modeling.__path__, "official_nlp.modeling."):
        module = importlib.import_module(info.name)
        yield from (test for test in finder.find(module, extraglobs=NAMES) if test.examples)


EXAMPLES = {test.name.removeprefix("official_nlp.modeling."): test for test in examples()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name):
    printed = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(EXAMPLES[name], out=printed.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(printed)
