"""Runs one of tfnlp's own test modules with this project's classes in place of tfnlp's.

Usage: python run_tfnlp_tests.py MODULE CLASS[,CLASS ...]. MODULE is the name below
`official.nlp.modeling`, such as `layers.masked_lm_test`; CLASS is a test class of it. Prints as its
last line a JSON object of test to null where it passed, or to what it raised.

What is swapped are the classes of `REPLACED`, wherever tfnlp's tests find them. Its `BertEncoder`
goes on being made of its own layers.
"""

import importlib
import json
import sys
import types
import unittest

from official.nlp.modeling import layers, networks  # noqa: TID251
from official.nlp.modeling import models as _  # noqa: F401, TID251

import official_nlp as nlp

PACKAGE = "official.nlp.modeling"
REPLACED = {
    "layers.on_device_embedding": ["OnDeviceEmbedding"],
    "layers.position_embedding": ["PositionEmbedding"],
    "layers.self_attention_mask": ["SelfAttentionMask"],
    "layers.transformer_encoder_block": ["TransformerEncoderBlock"],
    "layers.masked_lm": ["MaskedLM"],
    "layers.cls_head": ["ClassificationHead", "MultiClsHeads"],
    "layers.gated_feedforward": ["GatedFeedforward"],
    "networks.classification": ["Classification"],
    "networks.span_labeling": ["SpanLabeling"],
    "networks.encoder_scaffold": ["EncoderScaffold"],
    "models.electra_pretrainer": ["ElectraPretrainer"],
}


def swap():
    """Puts our classes into tfnlp's modules, and into the packages that pass them on."""
    # `BertEncoder` looks its layers up when it is made: it keeps the package as it was.
    networks.bert_encoder.layers = types.SimpleNamespace(**vars(layers))
    for path, names in REPLACED.items():
        part = path.partition(".")[0]
        module = importlib.import_module(f"{PACKAGE}.{path}")
        package = importlib.import_module(f"{PACKAGE}.{part}")
        for name in names:
            ours = getattr(getattr(nlp, part), name)
            setattr(module, name, ours)
            setattr(package, name, ours)


def give_private_names():
    """Lets tests read by tfnlp's private names what is public here.

    A rate of dropout is a number here, and a layer there: it is asked for its configuration.
    """

    def rate(name):
        return property(
            lambda block: types.SimpleNamespace(get_config=lambda: {"rate": getattr(block, name)})
        )

    block = nlp.layers.TransformerEncoderBlock
    block._attention_layer = property(lambda block: block.attention)
    block._output_dropout = rate("output_dropout")
    block._attention_dropout = rate("attention_dropout")
    block._inner_dropout_layer = rate("inner_dropout")


class Outcomes(unittest.TestResult):
    """What became of each test.

    Attributes:
      found: dict of test to None where it passed, to what it raised elsewhere.
    """

    def __init__(self):
        super().__init__()
        self.found = {}

    def addSuccess(self, test):
        self.found[_name(test)] = None

    def addError(self, test, error):
        self.found[_name(test)] = f"{error[0].__name__}: {error[1]}"

    addFailure = addError


def _name(test):
    return f"{type(test).__name__}.{test._testMethodName}"


def main(name, classes):
    swap()
    give_private_names()
    module = importlib.import_module(f"{PACKAGE}.{name}")
    loader = unittest.defaultTestLoader
    tests = [loader.loadTestsFromTestCase(getattr(module, c)) for c in classes.split(",")]
    outcomes = Outcomes()
    unittest.TestSuite(tests).run(outcomes)
    print(json.dumps(outcomes.found))


if __name__ == "__main__":
    main(*sys.argv[1:])
