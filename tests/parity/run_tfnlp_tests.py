"""Run one of tfnlp's own test modules with the classes of this project in place of tfnlp's.

Usage: python run_tfnlp_tests.py MODULE CLASS[,CLASS ...]. MODULE is the name below
`official.nlp.modeling`, such as `layers.masked_lm_test`; CLASS is a test class of it. The last line
of the output is a JSON object that maps each test to null if it passed, otherwise to its error.

The classes of `REPLACED` are replaced wherever tfnlp's tests find them. Its `BertEncoder` continues
to use its own layers.
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
    """Put our classes into tfnlp's modules and into the packages that export them."""
    # `BertEncoder` looks up its layers when it is built, so it retains the original package.
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
    """Provide tfnlp's private attribute names for what is public here.

    A dropout rate is a number here and a layer in tfnlp, whose configuration the tests read.
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
    """The outcomes of all tests.

    Attributes:
      found: dict of test to None if it passed, otherwise to its error.
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
