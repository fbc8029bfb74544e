"""Tests of reading questions in the format of SQuAD."""

import copy
import gzip
import json

import pytest

from official_nlp.data.tables.squad import read_squad
from official_nlp.errors import InputError

CONTEXT = "In 1066 the Normans came from Normandy."
DATA = {
    "version": "1.1",
    "data": [
        {
            "title": "Normans",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "When?",
                            "answers": [
                                {"text": "1066", "answer_start": 3},
                                {"text": "In 1066", "answer_start": 0},
                            ],
                        },
                        {
                            "id": "q2",
                            "question": "From where?",
                            "answers": [{"text": "Normandy", "answer_start": 30}],
                        },
                    ],
                }
            ],
        }
    ],
}


def changed(path: str, value) -> dict:
    """Return the data with another value at a path such as "data.0.title"; None removes it."""
    data = copy.deepcopy(DATA)
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = data
    for key in keys:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


QUESTION = "data.0.paragraphs.0.qas.0"


def write(file, data):
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    file.write_bytes(gzip.compress(content) if file.name.endswith(".gz") else content)
    return file


@pytest.mark.parametrize("name", ["train.json", "train.json.gz"])
def test_questions_have_answers_and_share_their_context(tmp_path, name):
    read = read_squad(write(tmp_path / name, DATA))
    first, second = read.questions
    assert (first.id, first.title, first.question) == ("q1", "Normans", "When?")
    assert first.context == CONTEXT
    assert first.answers == (("1066", 3), ("In 1066", 0))
    assert not first.impossible
    assert second.context is first.context
    assert not read.version_2
    assert read.notes == (f"{name}: 2 questions on 1 context",)


def test_questions_may_be_impossible(tmp_path):
    data = changed(f"{QUESTION}.answers", [])
    data["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"] = True
    read = read_squad(write(tmp_path / "a.json", data))
    assert read.questions[0].impossible
    assert read.questions[0].answers == ()
    assert read.version_2
    assert read.notes == ("a.json: 2 questions on 1 context; 1 impossible",)


@pytest.mark.parametrize(
    ("version", "is_2"), [("v2.0", True), ("2.1", True), (2, True), ("1", False)]
)
def test_the_version_tells_whether_questions_may_be_impossible(tmp_path, version, is_2):
    assert read_squad(write(tmp_path / "a.json", changed("version", version))).version_2 == is_2


def test_questions_without_answers_can_be_read(tmp_path):
    file = write(tmp_path / "a.json", changed(f"{QUESTION}.answers", None))
    read = read_squad(file, needs_answers=False)
    assert (read.questions[0].answers, read.questions[0].impossible) == ((), False)
    assert read.notes == ("a.json: 2 questions on 1 context; 1 without answers",)


def test_positions_count_characters(tmp_path):
    data = changed("data.0.paragraphs.0.context", "😀 1066 \ud800 from Normandy")
    qas = data["data"][0]["paragraphs"][0]["qas"]
    qas[0]["answers"] = [{"text": "1066", "answer_start": 2}]
    qas[1]["answers"] = [{"text": "Normandy", "answer_start": 14}]
    read = read_squad(write(tmp_path / "a.json", data))
    assert read.questions[0].context == "😀 1066 � from Normandy"


def test_an_answer_that_stands_elsewhere_is_refused(tmp_path):
    file = write(tmp_path / "a.json", changed(f"{QUESTION}.answers.0.answer_start", 4))
    with pytest.raises(InputError) as error:
        read_squad(file)
    assert str(error.value) == (
        f"{file}, data[0], paragraphs[0], qas[0], question 'q1', answers[0]: the answer '1066' "
        "must stand at answer_start 4 of the context, but '066 ' does; it stands at 3: correct "
        "answer_start, which counts characters"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (changed(f"{QUESTION}.answers.0.text", "1067"), "but '1066' does; the context lacks it"),
        (changed(f"{QUESTION}.answers.0.answer_start", -1), "must stand at answer_start -1"),
        (changed(f"{QUESTION}.answers.0.answer_start", 3.0),
         "'answer_start' must be of type integer, was 3.0"),
        (changed(f"{QUESTION}.answers.0.answer_start", True), "must be of type integer, was True"),
        (changed(f"{QUESTION}.answers.0.text", ""), "the text of the answer is empty"),
        (changed(f"{QUESTION}.answers", []), "question 'q1' has no answer: add one, or mark it"),
        (changed(f"{QUESTION}.answers", None), "question 'q1' has no answer: add one, or mark it"),
        (changed(f"{QUESTION}.answers", {"text": []}), "'answers' must be of type list"),
        (changed(f"{QUESTION}.is_impossible", True),
         "question 'q1' is impossible, but has the answer '1066': remove one of both"),
        (changed(f"{QUESTION}.is_impossible", 1), "'is_impossible' must be of type boolean, was 1"),
        (changed(f"{QUESTION}.id", "q2"), "two questions have the id 'q2'"),
        (changed(f"{QUESTION}.id", None), "qas[0]: 'id' must be of type string, is missing"),
        (changed(f"{QUESTION}.question", 3), "question 'q1': 'question' must be of type string"),
        (changed("data.0.paragraphs.0.context", None),
         "data[0], paragraphs[0]: 'context' must be of type string, is missing"),
        (changed("data.0.paragraphs.0.qas.0", "x"),
         "qas[0] must be an object with 'id', was 'x': give a file in the format of SQuAD"),
        (changed("data.0.paragraphs", None), "data[0]: 'paragraphs' must be of type list"),
        (changed("data", []), "has no question"),
        ([], "must be an object with 'data', was []"),
        (b'{"data": [', "must be JSON in the format of SQuAD: Expecting value: line 2"),
        (b"[" * 100_000, "must be JSON in the format of SQuAD: maximum recursion"),
        (b"", "is empty"),
    ],
)  # fmt: skip
def test_data_of_another_structure_is_refused(tmp_path, data, expected):
    with pytest.raises(InputError) as error:
        read_squad(write(tmp_path / "a.json", data))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("name", "questions", "impossible"),
    [("squad_v1.1/squad_dev_xquad_en.json", 1190, 0), ("squad_v2.0/dev_subset.json", 1050, 540)],
)
def test_data_of_squad_is_read(outside_data, name, questions, impossible):
    read = read_squad(outside_data / "data" / name)
    assert len(read.questions) == questions
    assert sum(question.impossible for question in read.questions) == impossible
    assert read.version_2 == (impossible > 0)
