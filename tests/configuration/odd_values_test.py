"""Odd values of settings and options are usage errors or work; none ends in a traceback.

The seed of the sample is printed where a test fails. ODD_VALUES_SEED=N repeats it.
"""

import json
import os
import random

import pytest

from official_nlp.cli import commands, main
from tests import damage, random_words
from tests.tasks import published

VALUES = [
    *("-1", "0", "1", "2", "-0.0", "0.5", "1.5", "-1e-3", "007", "1_000", "0x10", "1e3"),
    *("nan", "-nan", "inf", "-inf", "1e300", "-1e300", "1e-300", "1e999", "5e-324", "1e-9", "1e9"),
    *("4294967295", "4294967296", "2147483648", "-9223372036854775809", "1" + "0" * 12),
    *("99999999999999999999", "1" + "0" * 400, "9" * 5000, "0x" + "f" * 5000),
    *("", " ", "''", '""', '" "', "None", "none", "true", "False", "abc", "a" * 300, "a" * 5000),
    *("[]", "[1, 2]", "()", "(1,)", "{}", "{1}", "{'a': 1}", "[None]", "[[[[]]]]", "b'x'", "..."),
    *(
        "1j",
        "1+2",
        "-" * 1000 + "1",
        "(" * 1000,
        "[" * 200,
        "{[]: 1}",
        "'a' 'b'",
        "'''",
        "\\",
        "\\x",
    ),
    *(
        "%SEED",
        "%NOTHING",
        "@x()",
        "@os.system()",
        "include 'x'",
        "a\nb",
        "a\rb",
        "\x1b[2J",
        "\x7f",
    ),
    *("é", "日本", "\u2028", "\ufeff", "\u202e", "😀", "A=B", "=", "--dry-run", "-", "~", "$HOME"),
    *(
        ".",
        "..",
        "/",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "no/such",
        "a/../b",
        "//",
        "*",
        "[a]",
    ),
    *("'\\x00'", "'a\\nb'", "lambda: 0", "__import__('os')", "1;2", "0b1", "１", "²", "1 2", "#"),
]
HEAD = """
from __gin__ import dynamic_registration

from official_nlp.modeling import networks

include "{}"

networks.ElectraConfig.embedding_size = 8
networks.ElectraConfig.num_hidden_layers = 1
"""
# The packaged recipes of one network and of two, with all their settings, and tiny networks.
RECIPES = {
    "one.gin": HEAD.format("experiments/demo.gin")
    + """
networks.ElectraConfig.hidden_size = 8
networks.ElectraConfig.num_attention_heads = 2
networks.ElectraConfig.intermediate_size = 16
""",
    "two.gin": HEAD.format("experiments/small_plus_plus_128_512.gin")
    + """
generator/networks.ElectraConfig.hidden_size = 8
generator/networks.ElectraConfig.num_attention_heads = 1
generator/networks.ElectraConfig.intermediate_size = 16
discriminator/networks.ElectraConfig.hidden_size = 8
discriminator/networks.ElectraConfig.num_attention_heads = 1
discriminator/networks.ElectraConfig.intermediate_size = 16
""",
}
REQUIRED = {
    "one.gin": {"DATA": "data", "MODEL_DIR": "run"},
    "two.gin": {"DATA": "data", "SHORT_DATA": "data", "MODEL_DIR": "run", "BATCH_SIZE": "2"},
    "masked_lm": {"DATA": "data", "INIT": "published", "MODEL_DIR": "run"},
}
REQUIRED |= {
    name: {"DATA": data, "INIT": "published", "MODEL_DIR": "run"}
    for name, data in {
        "text_classification": "texts.csv",
        "token_classification": "tags.conll",
        "question_answering": "questions.json",
        "multiple_choice": "choices.jsonl",
    }.items()
}
# A search for a TPU takes minutes.
SKIPPED = {("STRATEGY", "tpu")}


def write_examples(folder, words):
    """Write a file of forty small examples for each fine-tuning recipe."""
    texts, tags, paragraphs, choices = ["text,label"], [], [], []
    for number in range(40):
        one, two, three = words[number : number + 3]
        texts.append(f"{one} {two},{'xy'[number % 2]}")
        tags.append(f"{one} B-X\n{two} I-X\n{three} O\n")
        answer = {"text": two, "answer_start": len(one) + 1}
        question = {"id": str(number), "question": three, "answers": [answer]}
        paragraphs.append({"context": f"{one} {two}", "qas": [question]})
        choices.append(json.dumps({"text": one, "choices": [two, three], "label": number % 2}))
    squad = {"version": "1.1", "data": [{"paragraphs": [paragraph]} for paragraph in paragraphs]}
    (folder / "texts.csv").write_text("\n".join(texts))
    (folder / "tags.conll").write_text("\n".join(tags))
    (folder / "questions.json").write_text(json.dumps(squad))
    (folder / "choices.jsonl").write_text("\n".join(choices))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with recipes, text and data, a pretrained model and data of tasks."""
    folder = tmp_path_factory.mktemp("odd")
    random_words.data_folder(folder, 60, 16, rows=60)
    for name, text in RECIPES.items():
        (folder / name).write_text(text)
    words = (folder / "tokenizer" / "vocab.txt").read_text().split()[5:]
    sizes = {"num_hidden_layers": 1, "max_position_embeddings": 512}
    published.write(folder / "published", words, **sizes)
    write_examples(folder, words)
    return folder


@pytest.fixture
def attempt(place, monkeypatch, capfd):
    """Run the command; return its exit code, and what is wrong with the answer, or nothing."""
    monkeypatch.chdir(place)

    def call(*words):
        capfd.readouterr()
        code = main.main(list(words))
        error = capfd.readouterr().err
        refused = error.startswith("electra: error: ") and error.count("\n") == 1
        is_right = code == main.DONE or (code == main.USAGE and refused and len(error) < 7000)
        return code, "" if is_right and "Traceback" not in error else f"{code}: {error[-1000:]}"

    return call


def settings_of(recipe, attempt, capfd):
    """Return the names of the settings of a recipe, from the message about an unknown one."""
    main.main(["train", recipe, "NOTHING=1"])
    return capfd.readouterr().err.rpartition(" has ")[2].strip().split(", ")


def cases(recipe, attempt, capfd):
    names = settings_of(recipe, attempt, capfd)
    assert {"DATA", "SEED", "LEARNING_RATE", "KEEP_BEST", "MODEL_DIR"} <= set(names)
    return [(name, value) for name in names for value in VALUES if (name, value) not in SKIPPED]


def seed() -> int:
    return int(os.environ.get("ODD_VALUES_SEED", 0))


def try_settings(recipe, sample, attempt, place, record_property):
    record_property(damage.TRIED, len(sample))
    before = sorted(place.rglob("*"))
    codes, wrong = set(), []
    for name, value in sample:
        words = [f"{n}={v}" for n, v in {**REQUIRED[recipe], name: value}.items()]
        code, fault = attempt("train", recipe, *words, "--dry-run")
        codes.add(code)
        wrong += [f"{name}={value[:80]!r}: {fault}"] if fault else []
    assert not wrong, f"seed {seed()}: " + "\n".join(wrong)
    assert codes == {main.DONE, main.USAGE}
    assert sorted(place.rglob("*")) == before, "a dry run wrote something"


@pytest.mark.parametrize("recipe", REQUIRED)
def test_a_recipe_with_usual_values_passes_a_dry_run(recipe, place, monkeypatch):
    monkeypatch.chdir(place)
    settings = [f"{name}={value}" for name, value in REQUIRED[recipe].items()]
    assert main.main(["train", recipe, *settings, "--dry-run"]) == main.DONE


@pytest.mark.parametrize("recipe", REQUIRED)
def test_odd_settings_are_refused_or_work(recipe, attempt, place, capfd, record_property):
    draw = random.Random(seed())
    by_name = {}
    for name, value in cases(recipe, attempt, capfd):
        by_name.setdefault(name, []).append((name, value))
    sample = [case for group in by_name.values() for case in draw.sample(group, 2)]
    try_settings(recipe, [*sample, ("SEED", "1"), ("SEED", "-1")], attempt, place, record_property)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recipe", REQUIRED)
def test_all_odd_settings_are_refused_or_work(recipe, attempt, place, capfd, record_property):
    try_settings(recipe, cases(recipe, attempt, capfd), attempt, place, record_property)


# === Options ===

OPTIONS = {
    "vocab": ["text.txt", "--to", "{new}", "--size", "64"],
    "examples": ["text.txt", "--tokenizer", "tokenizer", "--to", "{new}", "--length", "16"],
    "evaluate": ["run", "data"],
    "predict": ["model", "text"],
    "info": ["data"],
    "convert": ["model", "--to", "{new}"],
}
# It takes as many processes, and the system's memory.
HEAVY = {"--processes", "--word-swaps"}
# All text of the machine would be read.
FOLDERS = {"/", "//", "..", ".", "*"}


def odd_words(verb):
    """Yield the words of a verb with an odd value of one option, or in place of one word."""
    parser = main._parser(verb, commands.load(verb))
    words = ["--processes=1"] if verb == "examples" else []
    for action in parser._actions:
        for option in action.option_strings[:1]:
            for value in VALUES if action.nargs != 0 else []:
                # Inputs may come from a pipe or a device; this one never ends.
                if option not in HEAVY and (option, value) != ("--file", "/dev/zero"):
                    yield [*OPTIONS[verb], *words, f"{option}={value}"]
    for index, word in enumerate(OPTIONS[verb]):
        if not word.startswith("--") and word != "{new}":
            for value in VALUES if word != "text.txt" else [v for v in VALUES if v not in FOLDERS]:
                yield [*OPTIONS[verb][:index], value, *OPTIONS[verb][index + 1 :], *words]


def try_options(verb, sample, attempt, tmp_path, record_property):
    record_property(damage.TRIED, len(sample))
    wrong = []
    for number, words in enumerate(sample):
        shown = [word[:80] for word in words]
        # Paths that would be written are below the folder of the test.
        words = [
            word.format(new=tmp_path / str(number)) if word == "{new}" else word for word in words
        ]
        if any(word.startswith("--to=") for word in words):
            (tmp_path / f"in-{number}").mkdir()
            words = [w.replace("--to=", f"--to={tmp_path / f'in-{number}'}/") for w in words]
        _, fault = attempt(verb, *words)
        wrong += [f"{verb} {shown!r}: {fault}"] if fault else []
    assert not wrong, f"seed {seed()}: " + "\n".join(wrong)


@pytest.mark.parametrize("verb", OPTIONS)
def test_odd_options_are_refused_or_work(verb, attempt, tmp_path, record_property):
    every = list(odd_words(verb))
    assert len(every) >= len(VALUES)
    sample = random.Random(seed()).sample(every, 12)
    try_options(verb, sample, attempt, tmp_path, record_property)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("verb", OPTIONS)
def test_all_odd_options_are_refused_or_work(verb, attempt, tmp_path, record_property):
    try_options(verb, list(odd_words(verb)), attempt, tmp_path, record_property)
