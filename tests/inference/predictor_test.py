import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
import tensorflow as tf

import official_nlp as nlp
from official_nlp.errors import InputError
from official_nlp.inference.predictor import Predictor
from official_nlp.modeling import models, networks
from tests.inference.conftest import LABELS, LENGTH, MODELS, build, config

TEXTS = ["the red boat", "a bird, sings.", "", "green stone walks a river", "old " * 25]
PAIRS = [("the red boat", "a bird"), {"text": "old"}, {"text": "old", "text_pair": "stone"}, "a"]
QUESTIONS = [
    ("the red boat", "a green bird sings. the old stone walks a river, " * 5),
    {"question": "old", "context": "Red boat"},
]
CHOICES = [
    {"text": "the red boat", "choices": ["walks", "a green bird sings", "river"]},
    {"text": "old", "choices": ["stone"]},
]
BLANKS = ["the [MASK] boat", "___ bird [MASK] a ______ stone", "[MASK]"]
NUMBER = "float"
SCORES = dict.fromkeys(LABELS.values(), NUMBER)
ENTITY = {"label": "str", "start": "int", "end": "int", "text": "str", "score": NUMBER}
WORD = {"text": "str", "start": "int", "end": "int", "replaced": NUMBER}
CANDIDATE = {"token": "str", "score": NUMBER}

# Inputs of each model, and the form of a result as JSON; a list has the form of its elements.
TABLE = {
    "classification": (PAIRS, {"label": "str", "score": NUMBER, "scores": SCORES}),
    "multi_label": (PAIRS, {"labels": ["str"], "scores": SCORES}),
    "regression": (PAIRS, {"value": NUMBER}),
    "tokens": (TEXTS, {"entities": [ENTITY], "tags": ["str"]}),
    "questions": (QUESTIONS, {"answer": "str", "start": "int", "end": "int", "score": NUMBER}),
    "choices": (CHOICES, {"choice": "int", "scores": [NUMBER]}),
    "decoder": (["the red boat", "a"], {"text": "str"}),
    "discriminator": (TEXTS, {"words": [WORD]}),
    "generator": (BLANKS, {"fillings": [[CANDIDATE]]}),
    "encoder": (PAIRS, {"embedding": [NUMBER]}),
}
HEADS = sorted(TABLE)
OPTIONS = {"decoder": {"max_new_tokens": 4}, "questions": {"stride": 4}}


def has_form(value, form) -> bool:
    """Whether a value of JSON has exactly the keys and types of a form."""
    if isinstance(form, dict):
        return list(value) == list(form) and all(has_form(value[k], form[k]) for k in form)
    if isinstance(form, list):
        return isinstance(value, list) and all(has_form(each, form[0]) for each in value)
    return type(value).__name__ == form


def results_of(predictor, name, inputs=None):
    inputs = TABLE[name][0] if inputs is None else inputs
    return predictor(name)(inputs, **OPTIONS.get(name, {}))


def assert_close(one, other):
    """Compare results of JSON: numbers to 1e-5, all else exactly."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for each, counterpart in zip(one, other):
            assert_close(each, counterpart)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5)
    else:
        assert one == other


# === Results ===


def test_every_head_is_in_the_table():
    assert set(TABLE) == set(MODELS)


@pytest.mark.parametrize("name", HEADS)
def test_results_have_the_documented_form(predictor, name):
    inputs, form = TABLE[name]
    results = results_of(predictor, name)
    assert len(results) == len(inputs)
    for result in results:
        assert dataclasses.is_dataclass(result)
        assert has_form(result.to_dict(), form), result
        assert json.loads(result.to_json()) == result.to_dict()
        assert "\n" not in result.to_json()
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.text = "new"


@pytest.mark.parametrize("name", HEADS)
def test_a_result_depends_neither_on_the_batch_nor_on_padding(predictor, tokenizer, name):
    # Longer inputs are cut, and shorter sequences cut them differently.
    inputs = [value for value in TABLE[name][0] if len(str(value)) < 200]
    together = results_of(predictor, name, inputs)
    alone = Predictor(build(name), tokenizer, length=LENGTH - 3, batch_size=1)
    for value, result in zip(inputs, together):
        (expected,) = alone([value], **OPTIONS.get(name, {}))
        assert_close(result.to_dict(), expected.to_dict())


@pytest.mark.parametrize("name", ["classification", "discriminator"])
def test_a_single_input_is_a_list_of_one(predictor, name):
    (alone,) = predictor(name)("the red boat")
    (as_dict,) = predictor(name)({"text": "the red boat"})
    assert [alone] == [as_dict] == predictor(name)(iter(["the red boat"]))
    assert predictor(name)([]) == []


def test_probabilities_are_those_of_the_logits(predictor, tokenizer):
    (result,) = predictor("classification")([("the red boat", "a bird")])
    encoded = tokenizer("the red boat", "a bird")
    model = build("classification")
    inputs = {n: tf.constant(x[np.newaxis]) for n, x in encoded.items()}
    expected = tf.nn.softmax(model(inputs)["logits"])[0].numpy()
    np.testing.assert_allclose(list(result.scores.values()), expected, atol=1e-6)
    assert result.label == LABELS[int(expected.argmax())]
    assert result.score == max(result.scores.values())


def test_labels_reach_the_threshold(predictor):
    (result,) = predictor("multi_label")("the red boat")
    assert result.labels == [n for n, score in result.scores.items() if score >= 0.5]
    middle = sorted(result.scores.values())[1]
    (two,) = predictor("multi_label")("the red boat", threshold=middle)
    assert len(two.labels) == 2
    assert predictor("multi_label")("the red boat", threshold=0)[0].labels == list(LABELS.values())


def test_a_regression_of_several_outputs_has_several_values(tokenizer):
    changes = {"num_labels": 2, "problem_type": "regression"}
    model = models.ElectraForSequenceClassification(config(**changes))
    (result,) = Predictor(model, tokenizer)("the red boat")
    assert [type(value) for value in result.value] == [float, float]


@pytest.mark.parametrize(("name", "key"), [("tokens", "entities"), ("discriminator", "words")])
def test_spans_slice_the_text(predictor, name, key):
    texts = [*TEXTS, "  the RED boat ,\n“Größe” 中\u00a0bird\t"]
    parts = [
        (text, part)
        for text, result in zip(texts, predictor(name)(texts))
        for part in getattr(result, key)
    ]
    assert parts
    for text, part in parts:
        assert text[part.start : part.end] == part.text
        assert part.text == part.text.strip() != ""


def test_a_word_has_one_tag(predictor, tokenizer):
    text = "the redaction, sings"
    assert len(tokenizer.tokenize(text)) > 4
    (result,) = predictor("tokens")(text)
    assert len(result.tags) == 4
    encoded = tokenizer(text)
    logits = build("tokens")({n: x[np.newaxis] for n, x in encoded.items()})["logits"][0]
    first = [1, 2, len(encoded["input_ids"]) - 3, len(encoded["input_ids"]) - 2]
    best = tf.argmax(logits, axis=-1).numpy()[first]
    assert result.tags == [MODELS["tokens"][1]["id2label"][number] for number in best]


def test_words_that_are_given_are_tagged_as_they_are(predictor):
    words = ["the", "U.S.", "boat", ",", "bird"]
    text = " ".join(words)
    given, named, divided = predictor("tokens")([words, {"words": words}, text])
    assert given == named == divided
    assert len(given.tags) == 5
    for each in given.entities:
        assert text[each.start : each.end] == each.text
    (parts,) = predictor("tokens")([["the", "U", ".", "S", ".", "boat", ",", "bird"]])
    assert len(parts.tags) == 8
    nothing, red = predictor("tokens")([[], "red"])
    assert (nothing.tags, len(red.tags)) == ([], 1)


def test_a_long_text_is_tagged_in_windows(predictor):
    text = "the red boat walks a green river, old bird. " * 6
    (result,) = predictor("tokens")(text)
    assert len(result.tags) == 11 * 6


def test_a_long_text_is_divided_beside_a_pair_as_it_is_alone(tokenizer):
    extra = {"long_texts": "windows"}
    of = Predictor(
        models.ElectraForSequenceClassification(config(id2label=LABELS, extra=extra)), tokenizer
    )
    long = "the red boat walks a green river, old bird. " * 6
    alone, pair = of([long]), of([("red", long[:30])])
    assert alone != of([long[:100]])
    assert of([("red", long[:30]), long, "red"]) == [*pair, *alone, *of(["red"])]


# === Question answering ===


def test_an_answer_is_the_best_span_of_the_context(predictor, tokenizer):
    question, context = "the red boat", "a green bird sings"
    (result,) = predictor("questions")([(question, context)])
    encoded = tokenizer(question, context, return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")
    outputs = build("questions")({n: x[np.newaxis] for n, x in encoded.items()})
    # [CLS] the red boat [SEP] a green bird sings [SEP]
    places = [0, 5, 6, 7, 8]
    starts = tf.nn.softmax(tf.gather(outputs["start_logits"][0], places)).numpy()
    ends = tf.nn.softmax(tf.gather(outputs["end_logits"][0], places)).numpy()
    spans = {(i, j): starts[i] * ends[j] for i in range(1, 5) for j in range(i, 5)}
    first, last = max(spans, key=spans.get)
    assert (result.start, result.end) == (offsets[first + 4][0], offsets[last + 4][1])
    assert result.answer == context[result.start : result.end]
    assert result.score == pytest.approx(spans[first, last], abs=1e-6)


def test_the_answer_is_looked_for_in_every_window(predictor):
    question, context = QUESTIONS[0]
    (result,) = predictor("questions")([(question, context)], stride=8)
    assert context[result.start : result.end] == result.answer != ""
    # Long answers are excluded, and a context of one window gives what it gives alone.
    (short,) = predictor("questions")([(question, context)], stride=8, max_answer_length=1)
    assert len(short.answer.split()) == 1


def test_a_question_may_have_no_answer(predictor):
    asked = [("the red boat", "a green bird sings")]
    (always,) = predictor("questions")(asked)
    assert always.answer
    (none,) = predictor("questions")(asked, null_threshold=-100.0)
    assert (none.answer, none.start, none.end) == ("", 0, 0)
    assert predictor("questions")(asked, null_threshold=100.0) == [always]


def test_a_model_may_know_its_null_threshold(tokenizer):
    asked = [("the red boat", "a green bird sings")]
    model = models.ElectraForQuestionAnswering(config(extra={"null_threshold": -100.0}))
    (none,) = Predictor(model, tokenizer)(asked)
    assert none.answer == ""
    (always,) = Predictor(model, tokenizer)(asked, null_threshold=math.inf)
    assert always.answer
    for value in ("2", True, math.nan):
        model = models.ElectraForQuestionAnswering(config(extra={"null_threshold": value}))
        with pytest.raises(InputError, match="null_threshold in the configuration of the model"):
            Predictor(model, tokenizer)


def test_a_long_question_is_truncated_with_a_warning(predictor):
    with pytest.warns(UserWarning, match="truncated 1 of 2 questions to 21 tokens"):
        predictor("questions")([("red " * 30, "a boat"), ("red", "a boat")])


# === Choices and decoders ===


def test_a_summary_of_all_tokens_sees_no_padding(tokenizer):
    model = models.ElectraForMultipleChoice(config(summary_type="mean"))
    (result,) = Predictor(model, tokenizer)(CHOICES[0])
    expected = []
    for choice in CHOICES[0]["choices"]:
        encoded = tokenizer(CHOICES[0]["text"], choice)
        inputs = {n: x[np.newaxis, np.newaxis] for n, x in encoded.items()}
        expected.append(float(model(inputs)["logits"][0, 0]))
    np.testing.assert_allclose(result.scores, tf.nn.softmax(expected), atol=1e-5)


def test_the_best_choice_is_named_by_its_index(predictor):
    for result, value in zip(predictor("choices")(CHOICES), CHOICES):
        assert len(result.scores) == len(value["choices"])
        assert result.choice == int(np.argmax(result.scores))
        assert sum(result.scores) == pytest.approx(1)


def test_a_text_is_continued_by_the_model(predictor, tokenizer):
    (result,) = predictor("decoder")("the red boat", max_new_tokens=4)
    ids = tokenizer("the red boat")["input_ids"][np.newaxis, :-1]
    tokens = build("decoder").generate(ids, max_new_tokens=4, eos_token_id=tokenizer.sep_token_id)
    assert result.text == tokenizer.decode(tokens[0, 4:], skip_special_tokens=True)


def test_draws_are_a_function_of_the_seed(predictor):
    draw = {"max_new_tokens": 5, "do_sample": True, "temperature": 3.0}
    same, again, other = (predictor("decoder")("the", seed=s, **draw) for s in (1, 1, 2))
    assert same == again != other


def test_a_decoder_of_an_encoder_is_refused(tokenizer):
    model = models.ElectraForCausalLM(config(is_decoder=True, add_cross_attention=True))
    with pytest.raises(InputError, match="add_cross_attention: it needs the states of an encoder"):
        Predictor(model, tokenizer)


# === Pairs ===


@pytest.mark.parametrize("name", ["pair", "pretrainer"])
def test_a_pair_fills_blanks_and_scores_other_texts(predictor, name):
    results = predictor(name)(["the ___ boat", "the red boat", "[MASK]"], top=2)
    assert [type(result).__name__ for result in results] == [
        "Fillings",
        "ReplacedWords",
        "Fillings",
    ]
    assert [len(blank) for blank in results[0].fillings] == [2]
    assert predictor(name).word_scorer is not None
    assert predictor(name).blank_filler is not None


def test_a_pair_is_its_two_networks(predictor):
    texts = ["the ___ boat", "the red boat"]
    assert predictor("pair")(texts) == [
        *predictor("generator")(texts[:1]),
        *predictor("discriminator")(texts[1:]),
    ]


def test_only_pre_trained_networks_score_words_and_fill_blanks(predictor):
    assert predictor("discriminator").blank_filler is None
    assert predictor("generator").word_scorer is None
    assert predictor("classification").word_scorer is None
    assert predictor("classification").blank_filler is None


def test_a_truncated_text_is_warned_of(predictor):
    with pytest.warns(UserWarning, match="truncated 1 of 2 texts or pairs to 32 tokens") as found:
        predictor("classification")(["red " * 50, "red"])
    assert found[0].filename == __file__


# === Errors ===


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("classification", 5, "a text, a pair"),
        ("classification", ("a", "b", "c"), "a text, a pair"),
        ("classification", ("a", 1), "a text, a pair"),
        ("classification", {"text": "a", "label": 1}, "a text, a pair"),
        ("classification", {"text_pair": "a"}, "a text, a pair"),
        ("classification", {"question": "a", "context": "b"}, "a text, a pair"),
        ("tokens", ("a", "b"), "a text, or"),
        ("tokens", {"text": 1}, "a text, or"),
        ("tokens", ["a", ""], "a text, .*, or a list of words, .* without empty words"),
        ("tokens", {"words": "a"}, "a text, or"),
        ("tokens", None, "a text, or"),
        ("questions", "a", r"a pair \(question, context\)"),
        ("questions", {"question": "a"}, r"a pair \(question, context\)"),
        ("questions", ["a", None], r"a pair \(question, context\)"),
        ("choices", ("a", ["b"]), r'\{"text": ..., "choices": \[...\]\}'),
        ("choices", {"text": "a", "choices": []}, ".*with at least one choice"),
        ("choices", {"text": "a", "choices": ["b", 2]}, ".*with at least one choice"),
        ("choices", {"text": "a", "choices": "bc"}, ".*with at least one choice"),
        ("choices", {"text": 1, "choices": ["b"]}, ".*with at least one choice"),
        ("decoder", {"text": "a", "text_pair": "b"}, "a text, or"),
        ("generator", b"the ___", "a text, or"),
        ("encoder", ["a"], "a text, a pair"),
        ("pair", ["a", "b"], "a text, or"),
    ],
)
def test_an_input_of_another_form_is_refused(predictor, name, value, expected):
    good = TABLE[name][0][0] if name in TABLE else "a"
    with pytest.raises(InputError, match=f"^input 2 must be {expected}.*; got ") as caught:
        predictor(name)([good, value])
    assert str(caught.value).endswith(repr(value))


def test_a_long_input_is_shown_shortened(predictor):
    with pytest.raises(InputError, match=r"got \['xxxxx.*\.\.\.$") as caught:
        predictor("discriminator")([["x" * 1000]])
    assert len(str(caught.value)) < 200


def test_inputs_must_be_a_list(predictor):
    with pytest.raises(InputError, match="inputs must be a list of inputs, got 5"):
        predictor("tokens")(5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "classification",
            {"top": 3},
            "top is no option of this model; its options are: threshold",
        ),
        ("tokens", {"stride": 3}, "stride is no option of this model; its options are: none"),
        ("multi_label", {"threshold": 2}, "threshold must be a probability from 0 to 1, got 2"),
        ("generator", {"top": 0}, "top must be 1 to 64 tokens, got 0"),
        ("generator", {"top": 65}, "top must be 1 to 64 tokens, got 65"),
        ("questions", {"stride": -1}, "stride must be at least 0 tokens, got -1"),
        ("questions", {"max_answer_length": 0}, "max_answer_length must be at least 1 token"),
        ("questions", {"max_question_length": 0}, "max_question_length must be at least 1 token"),
        ("decoder", {"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ("decoder", {"max_new_tokens": 30}, "at most 1 tokens, of 32 for max_new_tokens=30, got 3"),
        ("decoder", {"temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_an_option_out_of_range_is_refused(predictor, name, options, message):
    with pytest.raises(InputError, match=message):
        predictor(name)(TABLE[name][0][:1], **options)


def test_a_question_needs_a_context_and_room_for_it(predictor, tokenizer):
    with pytest.raises(InputError, match="context of the question 'old' has no tokens: ' '"):
        predictor("questions")([("old", " ")])
    with pytest.raises(InputError, match="length must be at least 12 tokens for a question"):
        Predictor(build("questions"), tokenizer, length=10)([("old", "stone")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 3}, "length must be at least 4 tokens and at most max_position_embeddings=32"),
        ({"length": 33}, "at most max_position_embeddings=32, got 33"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_a_size_out_of_range_is_refused(tokenizer, options, message):
    with pytest.raises(InputError, match=message):
        Predictor(build("tokens"), tokenizer, **options)


def test_the_length_is_the_smaller_of_the_models_and_the_tokenizers(predictor, tokenizer):
    assert predictor("tokens").length == LENGTH
    shorter = nlp.data.ElectraTokenizer(tokenizer.vocab, model_max_length=20)
    assert Predictor(build("tokens"), shorter).length == 20


def test_a_tokenizer_of_another_model_is_refused(tokenizer):
    larger = nlp.data.ElectraTokenizer([*tokenizer.vocab, "extra"])
    with pytest.raises(InputError, match=r"must not have more tokens than the \d+ rows .* has \d+"):
        Predictor(build("tokens"), larger)


class Headless(models.electra_for.ElectraFor):
    """A head that the package does not know."""


def test_a_model_of_another_kind_is_refused(tokenizer):
    with pytest.raises(InputError, match=r"model must be one of ElectraFor.*, got Headless"):
        Predictor(Headless(config()), tokenizer)
    parts = {"generator": build("generator"), "other": build("discriminator")}
    with pytest.raises(InputError, match="keys discriminator, generator, got 'generator', 'other'"):
        Predictor(parts, tokenizer)
    parts = {"generator": build("discriminator"), "discriminator": build("generator")}
    with pytest.raises(InputError, match="discriminator of a pair must be an ElectraForPreTrai"):
        Predictor(parts, tokenizer)
    parts = {"generator": build("discriminator"), "discriminator": build("discriminator")}
    with pytest.raises(InputError, match="generator of a pair must be an ElectraForMaskedLM"):
        Predictor(parts, tokenizer)


def test_networks_without_configuration_need_a_length(tokenizer):
    class Foreign:
        """A generator and discriminator that are no ElectraEncoders."""

    model = build("pretrainer")
    found = Predictor(model, tokenizer, length=16)
    assert found.length == 16
    with pytest.raises(InputError, match="length must be the largest number of tokens"):
        Predictor(Foreign(), tokenizer)


# === Results of transformers ===


def golden_texts(folder):
    """Return a tokenizer and texts that have the ids of the case `plain`, and its outputs.

    Pieces stand between spaces, and no text is cut at punctuation: every piece is a token.
    """
    tokenizer = nlp.data.ElectraTokenizer.from_pretrained(folder, do_basic_tokenize=False)
    arrays = np.load(folder / "expected.npz")
    ids = arrays["plain__in__input_ids"]
    texts = [" ".join(tokenizer.vocab[i] for i in row[1:-1]) for row in ids]
    for text, row in zip(texts, ids):
        np.testing.assert_array_equal(tokenizer(text)["input_ids"], row)
    return tokenizer, texts, arrays


def predictor_of(folder, tokenizer):
    return Predictor(Predictor.from_pretrained(folder).model, tokenizer)


def softmax(logits):
    return tf.nn.softmax(logits, axis=-1).numpy()


@pytest.mark.parametrize("name", ["sequence_classification", "sequence_multilabel"])
def test_scores_are_those_of_transformers(golden, name):
    folder = golden(f"hf_tiny_{name}")
    tokenizer, texts, arrays = golden_texts(folder)
    logits = arrays["plain__out__logits"]
    expected = 1 / (1 + np.exp(-logits)) if "multilabel" in name else softmax(logits)
    results = predictor_of(folder, tokenizer)(texts)
    found = [list(result.scores.values()) for result in results]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert list(results[0].scores) == list(predictor_of(folder, tokenizer).model.config.label2id)


def test_numbers_are_those_of_transformers(golden):
    folder = golden("hf_tiny_sequence_regression")
    tokenizer, texts, arrays = golden_texts(folder)
    found = [result.value for result in predictor_of(folder, tokenizer)(texts)]
    np.testing.assert_allclose(found, arrays["plain__out__logits"][:, 0], atol=1e-5)


def test_tags_are_those_of_transformers(golden):
    folder = golden("hf_tiny_token_classification")
    tokenizer, texts, arrays = golden_texts(folder)
    results = predictor_of(folder, tokenizer)(texts)
    probabilities = softmax(arrays["plain__out__logits"][:, 1:-1])
    for result, text, row in zip(results, texts, probabilities):
        assert result.tags == [f"LABEL_{number}" for number in row.argmax(axis=-1)]
        first = result.entities[0]
        count = len(first.text.split())
        assert text.startswith(first.text)
        assert first.score == pytest.approx(row[:count].max(axis=-1).mean(), abs=1e-5)


def test_words_are_scored_as_by_transformers(golden):
    folder = golden("hf_tiny_pretraining")
    tokenizer, texts, arrays = golden_texts(folder)
    expected = 1 / (1 + np.exp(-arrays["plain__out__logits"][:, 1:-1]))
    for result, text, row in zip(predictor_of(folder, tokenizer)(texts), texts, expected):
        assert len(result.words) >= 10
        for word in result.words:
            position = text[: word.start].count(" ")
            assert word.replaced == pytest.approx(row[position], abs=1e-5)


def test_embeddings_are_those_of_transformers(golden):
    folder = golden("hf_tiny_model_base")
    tokenizer, texts, arrays = golden_texts(folder)
    found = [result.embedding for result in predictor_of(folder, tokenizer)(texts)]
    np.testing.assert_allclose(found, arrays["plain__out__last_hidden_state"][:, 0], atol=2e-5)


def test_the_predictor_is_part_of_the_public_interface():
    assert nlp.Predictor is Predictor
    assert nlp.inference.Predictor is Predictor
    assert networks.ElectraEncoder.hugging_face_class == "ElectraModel"


def test_no_warning_is_raised_for_texts_that_fit(predictor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor("classification")(["the red boat"] * 3)
