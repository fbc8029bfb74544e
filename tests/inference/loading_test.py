import json
import shutil

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.inference import loading
from official_nlp.inference.predictor import Predictor
from tests.inference.conftest import MODELS, build


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """Return the folder of a model by its name, or of a pair; not to be changed."""
    root = tmp_path_factory.mktemp("saved")

    def save(name):
        folder = root / name
        if not folder.exists():
            parts = build(name)
            for part, model in parts.items() if name == "pair" else [("", parts)]:
                model.save_pretrained(folder / part)
                tokenizer.save_pretrained(folder / part)
        return folder

    return save


def change_config(folder, **changes):
    file = folder / "config.json"
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_saved_model_is_loaded_with_its_head(saved, predictor, name):
    loaded = Predictor.from_pretrained(saved(name))
    assert type(loaded.model) is MODELS[name][0]
    assert loaded.expects == predictor(name).expects
    expected = predictor(name).model.state()
    for tensor, array in loaded.model.state().items():
        np.testing.assert_array_equal(array, expected[tensor], err_msg=tensor)


def test_a_saved_pair_is_loaded(saved, predictor):
    texts = ["the red [MASK]", "the red boat"]
    assert Predictor.from_pretrained(saved("pair"))(texts) == predictor("pair")(texts)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_tensors_tell_the_head_where_the_configuration_does_not(saved, tmp_path, name):
    folder = shutil.copytree(saved(name), tmp_path / name)
    change_config(folder, architectures=None)
    assert type(Predictor.from_pretrained(folder).model) is MODELS[name][0]


def test_a_checkpoint_of_google_research_is_loaded(golden):
    results = Predictor.from_pretrained(golden("google_tf1_fully_tied"))(["the man", "the [MASK]"])
    assert [type(result).__name__ for result in results] == ["ReplacedWords", "Fillings"]


def test_a_folder_of_half_precision_is_loaded(golden):
    folder = golden("hf_tiny_fp16_stored_pretraining")
    assert Predictor.from_pretrained(folder).word_scorer is not None


@pytest.mark.parametrize("described", [{"phases": [{"length": 8}, {"length": 16}]}, {}])
def test_a_run_tells_the_length_of_its_sequences(tmp_path, described):
    expected = 16 if described else None
    assert loading._trained_length(tmp_path) is None
    (tmp_path / "run.json").write_text(json.dumps(described))
    assert loading._trained_length(tmp_path) == expected


def test_a_model_without_a_tokenizer_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("tokens"), tmp_path / "bare")
    for file in folder.iterdir():
        if file.name not in ("config.json", "model.safetensors"):
            file.unlink()
    with pytest.raises(InputError, match="bare has no tokenizer; put the vocabulary"):
        Predictor.from_pretrained(folder)


def test_a_head_that_was_not_trained_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("discriminator"), tmp_path / "headless")
    change_config(folder, architectures=["ElectraForTokenClassification"])
    with pytest.raises(InputError, match=r"ForTokenClassification, but lacks classifier\.weight"):
        Predictor.from_pretrained(folder)


def test_a_model_of_another_class_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("discriminator"), tmp_path / "other")
    change_config(folder, architectures=["BertModel"])
    with pytest.raises(InputError, match=r"architectures must name one of .*, got 'BertModel'"):
        Predictor.from_pretrained(folder)


def test_a_configuration_of_another_model_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("discriminator"), tmp_path / "wrong")
    change_config(folder, vocab_size=10**8)
    with pytest.raises(InputError, match=r"contradicts the weights: .* \[100000000, 8\] in the mo"):
        Predictor.from_pretrained(folder)


def test_a_vocabulary_with_more_tokens_than_rows_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("discriminator"), tmp_path / "cut")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    vocabulary = (folder / "vocab.txt").read_text().splitlines()
    vocabulary += [f"more{number}" for number in range(10)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    with pytest.raises(InputError, match="must not have more tokens than the"):
        Predictor.from_pretrained(folder)


def test_a_path_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        Predictor.from_pretrained(tmp_path / "nothing")
