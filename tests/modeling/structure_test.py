"""Every file of the modeling library is read the same way: who knows one can write the next."""

import ast
import dataclasses
import importlib
import inspect
import pathlib
import re

import pytest
import tf_keras

import official_nlp
from official_nlp import modeling
from official_nlp.modeling import layers, models, networks

FOLDER = pathlib.Path(modeling.__file__).parent
PUBLIC = {name: getattr(part, name) for part in (layers, networks, models) for name in part.__all__}
KERAS = {name: cls for name, cls in PUBLIC.items() if issubclass(cls, tf_keras.layers.Layer)}
LAYERS = {name: KERAS[name] for name in layers.__all__}
ORDER = ["__init__", "build", "call", "get_config"]

every = pytest.mark.parametrize("name", PUBLIC)
every_keras = pytest.mark.parametrize("name", KERAS)
every_layer = pytest.mark.parametrize("name", LAYERS)


def snake(name: str) -> str:
    """Returns the name of the file of a class; LM is one word."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def tree(cls) -> ast.ClassDef:
    return ast.parse(inspect.cleandoc(inspect.getsource(cls))).body[0]


def sections(cls) -> dict[str, str]:
    """The parts of a docstring, by the word that opens them; what is before them is ``."""
    parts = re.split(
        r"^(Call|Args|Attributes|Returns|Raises|Example|Reference):",
        inspect.getdoc(cls),
        flags=re.M,
    )
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def documented(section: str) -> set[str]:
    """The names that a section of a docstring explains: `name:` or `one, another:`."""
    heads = re.findall(r"^  ([\w*][\w*, ]*):", section, flags=re.M)
    return {name.strip(" *") for head in heads for name in head.split(",")}


def raised(nodes) -> set[str]:
    """The names of the errors that some code raises anew."""
    calls = [n.exc for part in nodes for n in ast.walk(part) if isinstance(n, ast.Raise) and n.exc]
    return {ast.unparse(call.func if isinstance(call, ast.Call) else call) for call in calls}


# === Files ===
@every
def test_a_class_has_a_file_of_its_name(name):
    cls = PUBLIC[name]
    assert pathlib.Path(inspect.getfile(cls)).stem == snake(name)


@pytest.mark.parametrize("part", [layers, networks, models], ids=lambda part: part.__name__)
def test_a_file_has_one_public_class_and_every_one_is_exported(part):
    found = []
    for file in sorted(pathlib.Path(part.__file__).parent.glob("*.py")):
        classes = [n.name for n in ast.parse(file.read_text()).body if isinstance(n, ast.ClassDef)]
        classes = [name for name in classes if not name.startswith("_")]
        assert len(classes) <= 1, file.name
        found += classes
    assert sorted(found) == sorted(part.__all__)


@pytest.mark.parametrize("part", ["layers", "networks", "models"])
def test_the_public_api_leads_to_the_classes(part):
    assert part in official_nlp.__all__
    assert getattr(official_nlp, part) is importlib.import_module(f"official_nlp.modeling.{part}")


@every_keras
def test_a_class_is_registered_under_our_name(name):
    assert tf_keras.saving.get_registered_name(KERAS[name]) == f"official_nlp>{name}"


# === Order ===
@every_keras
def test_methods_come_in_the_order_they_run(name):
    methods = [n.name for n in tree(KERAS[name]).body if isinstance(n, ast.FunctionDef)]
    main = [method for method in methods if method in ORDER]
    assert main == [method for method in ORDER if method in main]
    assert methods[0] in ORDER, "helpers come after the method that uses them"


@every_layer
def test_a_layer_with_arguments_has_init_and_get_config(name):
    own = vars(LAYERS[name])
    assert "call" in own
    assert ("__init__" in own) == ("get_config" in own)


# === Docstrings ===
@every_layer
def test_the_call_is_explained_with_shapes(name):
    call = sections(LAYERS[name])["Call"]
    assert re.search(r"`\[[^]]+\]`", call), "give shapes, as `[batch, length]`"


@every
def test_every_argument_is_explained(name):
    cls = PUBLIC[name]
    parameters = inspect.signature(vars(cls).get("__init__", lambda: None)).parameters.values()
    named = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    section = "Attributes" if dataclasses.is_dataclass(cls) else "Args"
    explained = documented(sections(cls).get(section, ""))
    assert named - {"self", "name"} <= explained
    assert explained <= named, "explained, but not there"


@every
def test_errors_are_explained(name):
    cls = PUBLIC[name]
    own = raised([tree(cls)])
    documents = sections(cls).get("Raises", "")
    for method in tree(cls).body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            documents += ast.get_docstring(method) or ""
    assert {error for error in own if error not in documents} == set()
