import pytest

from official_nlp.data.label_prompts import LabelPrompts, Template
from official_nlp.errors import InputError


def test_braces_that_are_no_field_stand_for_themselves():
    filled, spans = Template("{ {text} }{x}: {label}").filled("a", None, "b")
    assert filled == "{ a }{x}: b"
    assert spans == {"text": (2, 3), "label": (10, 11)}


def test_a_text_has_a_prompt_for_each_label_that_names_its_tokens(tokenizer):
    prompts = LabelPrompts(tokenizer, {"flies": "bird", "other": "xy"}, "{text} a {label}.", 16)
    (bird, other), longest = prompts.of_text("the boat")
    vocab = tokenizer.vocab
    assert [vocab[each] for each in bird.ids[1:-1]] == ["the", "boat", "a", "bird", "."]
    assert bird.label == [4]
    assert [vocab[other.ids[place]] for place in other.label] == ["x", "##y"]
    assert longest == len(other.ids) == 8


def test_all_labels_have_the_same_part_of_a_long_text(tokenizer):
    prompts = LabelPrompts(tokenizer, ["bird", "xy"], "{text} a {label}.", 10)
    made, longest = prompts.of_text("red " * 20)
    assert longest == 26
    assert [each.ids.count(tokenizer.vocab.index("red")) for each in made] == [4, 4]
    assert [len(each.ids) for each in made] == [9, 10]


@pytest.mark.parametrize(
    ("template", "pair", "message"),
    [
        ("{text} {label}", "a", "line 3, must be one text, not a pair, for the template"),
        ("{text} {label} {text_pair}", None, "line 3, must be two texts"),
    ],
)
def test_a_template_has_a_place_for_each_text(tokenizer, template, pair, message):
    prompts = LabelPrompts(tokenizer, ["bird", "stone"], template, 16)
    with pytest.raises(InputError, match=message):
        prompts.require_places("line 3,", pair)
