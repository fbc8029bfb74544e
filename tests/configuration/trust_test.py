"""A recipe is data: it calls configuration classes only, unless the user trusts it."""

import dataclasses
import pathlib
import subprocess
import sys

import pytest

from official_nlp.configuration import gin_resolver, recipes
from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.training import RunConfig
from tests.configuration.stand_in import Run, Sizes

HEAD = """
from __gin__ import dynamic_registration
from tests.configuration import stand_in as toy
"""
REST = """
toy.Run.data = "data"
toy.Run.model_dir = "run"
"""
SETTINGS = {"DATA": "data", "MODEL_DIR": "run"}


@dataclasses.dataclass
class NotFrozen:
    """A class that is no configuration."""

    path: str = ""


def effect(path):
    """Leave a trace."""
    pathlib.Path(path).touch()


def resolve(file, text, **options):
    file.write_text(text)
    return gin_resolver.resolve(file, {}, Run, **options)[0]


def refused(file, text):
    with pytest.raises(InputError) as raised:
        resolve(file, text)
    message = str(raised.value)
    assert "\n" not in message
    assert "--trust" in message
    return message


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from os import path",
        "import os as toys",
        "import numpy.ctypeslib",
        "from subprocess import run",
        "import __main__",
        "import __gin__.dynamic_registration",
        "import official_nlp.__main__",
        "from official_nlp import __main__",
        "import official_nlpx.a",
    ],
)
def test_a_recipe_imports_the_package_alone(tmp_path, line):
    message = refused(tmp_path / "a.gin", f"{HEAD}{line}\n{REST}")
    assert message.startswith(f"{tmp_path / 'a.gin'}:4: a recipe must import modules of official_")
    assert f"was `{line}`" in message


@pytest.mark.parametrize(
    "name",
    [
        "loop.os.system",
        "loop.sys.modules.clear",
        "loop.train",
        "loop.tf.io.write_file",
        "networks.ElectraConfig.__init__",
        "networks.ElectraConfig.__init__.__globals__.clear",
        "networks.ElectraConfig.to_json",
        "networks.ElectraEncoder",
        "here.effect",
        "here.NotFrozen",
        "here.pathlib.Path",
        "here.subprocess.Popen",
        "here.HEAD",
        "cli.main",
        "gin.macro.__globals__",
        "gin.constant.__code__",
    ],
)
@pytest.mark.parametrize("line", ["toy.Run.init = @{}()", "toy.Run.init = @{}", "{}.path = 'x'"])
def test_a_recipe_names_configuration_classes_alone(tmp_path, name, line):
    imports = (
        "from official_nlp.cli import main as cli\n"
        "from official_nlp.training import loop\n"
        "from official_nlp.modeling import networks\n"
        "from tests.configuration import trust_test as here\n"
    )
    message = refused(tmp_path / "a.gin", f"{HEAD}{imports}{line.format(name)}\n{REST}")
    assert "a.gin:8: a recipe must name configuration classes only" in message
    assert f"was {name}, whose call could run any code" in message


def test_names_of_gin_itself_are_no_way_around(tmp_path):
    # Without dynamic registration gin looks names up among everything that was ever registered.
    resolve(
        tmp_path / "a.gin",
        f"{HEAD}from tests.configuration import trust_test as here\n"
        f"toy.Run.init = @here.effect()\nhere.effect.path = '{tmp_path / 'once'}'\n{REST}",
        trusted=True,
    )
    assert (tmp_path / "once").exists()
    again = f"SETTING = @effect()\neffect.path = '{tmp_path / 'again'}'\n"
    message = refused(tmp_path / "b.gin", again)
    assert "was effect, whose call could run any code" in message
    assert not (tmp_path / "again").exists()


def test_a_trusted_recipe_imports_and_calls_anything(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "other.gin").write_text(f"{HEAD}import os.path\ntoy.Run.data = @os.getcwd()\n")
    text = f'include "../other.gin"\n{HEAD}toy.Run.model_dir = "run"\n'
    values = resolve(tmp_path / "sub/a.gin", text, trusted=True)
    assert values["data"] == str(pathlib.Path.cwd())


def test_trust_ends_with_the_recipe(tmp_path):
    text = f"{HEAD}import os\n{REST}"
    resolve(tmp_path / "a.gin", text, trusted=True)
    assert "a recipe must import" in refused(tmp_path / "a.gin", text)


def test_class_methods_of_configurations_are_allowed(tmp_path):
    (tmp_path / "a.gin").write_text(
        "from __gin__ import dynamic_registration\n"
        "include 'experiments/small.gin'\n"
        "from official_nlp.modeling import networks\n"
        "from official_nlp import tasks\n"
        "networks.ElectraConfig.preset.name = 'base'\n"
        "tasks.PretrainingConfig.discriminator = @networks.ElectraConfig.preset()\n"
    )
    values, _ = gin_resolver.resolve(tmp_path / "a.gin", SETTINGS, RunConfig)
    assert values["task"].discriminator == ElectraConfig.preset("base")


def test_a_value_of_the_command_line_is_text_and_refers_to_nothing(tmp_path):
    file = tmp_path / "a.gin"
    file.write_text(f'{HEAD}X = "a"\ntoy.Run.model_dir = %X\ntoy.Run.data = "d"\n')
    for text in [
        "@os.system()",
        "@toy.Sizes()",
        "%X",
        "'\nimport os\n'",
        '"\nimport os\n"',
        "a\nimport os",
        "a' + 'b",
        "a'; import os",
        'include "x.gin"',
        "\\",
        "\\'",
        "{x} {0} %s",
        "\x1b[2J\r",
        "é\u2028\ud7ff",
        "a" * 500 + " " + "b" * 500,
    ]:
        values, resolved = gin_resolver.resolve(file, {"X": text}, Run)
        assert values["model_dir"] == text
        (tmp_path / "config.gin").write_text(resolved)
        again = gin_resolver.resolve(tmp_path / "config.gin", {}, Run)
        assert again == (values, resolved)


# === Included files ===


@pytest.fixture
def folder(tmp_path):
    """A folder with a recipe's, beside which there is another file."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "outside.gin").write_text(f"{HEAD}{REST}")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    "path", ["../outside.gin", "{absolute}", "link.gin", "sub/../../outside.gin"]
)
def test_an_include_outside_the_folder_of_the_recipe_is_refused(folder, path):
    (folder / "sub").mkdir()
    (folder / "link.gin").symlink_to(folder.parent / "outside.gin")
    path = path.format(absolute=folder.parent / "outside.gin")
    message = refused(folder / "a.gin", f"include '{path}'\n")
    assert "a.gin:1: an include must be in the folder of the recipe or packaged, was " in message
    assert str(folder.parent.resolve() / "outside.gin") in message
    assert resolve(folder / "a.gin", f"include '{path}'\n", trusted=True)["data"] == "data"


def test_an_include_inside_is_read_by_any_path(folder):
    (folder / "sub").mkdir()
    (folder / "sub/b.gin").write_text("include '../c.gin'\n")
    (folder / "c.gin").write_text(f"{HEAD}{REST}")
    for path in ("sub/b.gin", folder / "sub/b.gin", "./sub/../c.gin"):
        assert resolve(folder / "a.gin", f"include '{path}'\n")["data"] == "data"


def test_a_link_to_a_recipe_is_the_recipe(folder):
    (folder / "link.gin").symlink_to(folder.parent / "outside.gin")
    assert gin_resolver.resolve(folder / "link.gin", {}, Run)[0]["data"] == "data"


def test_the_number_of_included_files_is_limited(folder):
    (folder / "b.gin").write_text("")
    message = "a recipe must include at most 100 files"
    (folder / "a.gin").write_text("include 'b.gin'\n" * 100)
    with pytest.raises(InputError, match=message):
        gin_resolver.resolve(folder / "a.gin", {}, Run)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "must be UTF-8 text, but byte 0 is not"),
        (b"a = '\x00'", ""),
        (b"#" * (1 << 20) + b"##", "has 1,048,578 bytes, and at most 1,048,576 are read"),
        (b"A = " + b"(" * 100_000, ""),
        (b"A = " + b"-" * 100_000, ""),
        (b"\\", ""),
        (b"'''", "a bracket or a quote is not closed"),
        (b"a:\n  b = 1\n c = 2", ""),
        (b"= 3", ""),
        (b"@x()", ""),
        (b"include 3", ""),
        (b"from x import", ""),
        (b"a.b.c/d/e = 3", ""),
        (b"A = %A\n", ""),
        (b"gin.constant.x = 1", ""),
        (b"include '/dev/zero'", "no file"),
        (b"include '.'", "no file"),
        (b"include 'a.gin'", "a recipe must include at most 100 files"),
        (b"include '\x00'", ""),
        (b"include '" + b"a" * 5000 + b"'", "no file"),
    ],
    ids=lambda part: repr(part[:24]) if isinstance(part, bytes) else None,
)
def test_a_file_that_is_no_recipe_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "a.gin").write_bytes(content)
    with pytest.raises(InputError) as raised:
        gin_resolver.resolve(tmp_path / "a.gin", {}, Run)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_recipe_that_names_nothing_is_refused_in_a_new_process(tmp_path, repository):
    (tmp_path / "a.gin").write_text("")
    code = (
        "from official_nlp.configuration import gin_resolver\n"
        "from tests.configuration.stand_in import Run\n"
        f"gin_resolver.resolve({str(tmp_path / 'a.gin')!r}, {{}}, Run)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True
    )
    assert "InputError: " in done.stderr
    assert (
        "a.gin does not set Run.model_dir, Run.data; include a file of configs/runs" in done.stderr
    )


# === What is set in vain ===


SCOPES = f"""{HEAD}{REST}
toy.Run.sizes = @small/toy.Sizes()
small/toy.Sizes.width = 7
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "smal/toy.Sizes.width = 3",
            "smal/toy.Sizes.width is set, but nothing uses @smal/toy.Sizes() (did you mean small?)",
        ),
        ("quux/toy.Sizes.width = 3", "quux/toy.Sizes.width is set, but nothing uses @quux/toy.S"),
        ("toy.Phase.steps = 3", "toy.Phase.steps is set, but nothing uses @toy.Phase()"),
        ("small/toy.Phase.steps = 3", "small/toy.Phase.steps is set, but nothing uses @small/toy."),
        ("other/small/toy.Sizes.width = 3", "nothing uses @other/small/toy.Sizes()"),
        ("x/toy.Run.seed = 3", "x/toy.Run.seed is set, but nothing uses @x/toy.Run()"),
    ],
)
def test_a_field_that_nothing_uses_is_refused(tmp_path, line, message):
    (tmp_path / "a.gin").write_text(f"{SCOPES}{line}\n")
    with pytest.raises(InputError) as raised:
        gin_resolver.resolve(tmp_path / "a.gin", {}, Run)
    start = (
        f"{tmp_path / 'a.gin'}:{SCOPES.count(chr(10)) + 1}: {line.partition(' ')[0]} is set, but "
    )
    assert str(raised.value).startswith(start)
    assert message in str(raised.value)


def test_an_included_file_may_set_more_than_is_used_and_the_resolved_text_has_no_more(tmp_path):
    (tmp_path / "base.gin").write_text(f"N = 3\n{SCOPES}old/toy.Phase.steps = %N\n")
    text = f"include 'base.gin'\n{HEAD}toy.Run.sizes = @new/toy.Sizes()\nnew/toy.Sizes.width = 9\n"
    (tmp_path / "a.gin").write_text(text)
    values, resolved = gin_resolver.resolve(tmp_path / "a.gin", {}, Run)
    assert values["sizes"] == Sizes(9)
    assert "old/" not in resolved
    assert "small/" not in resolved
    assert "N = 3" not in resolved
    (tmp_path / "config.gin").write_text(resolved)
    assert gin_resolver.resolve(tmp_path / "config.gin", {}, Run) == (values, resolved)


def test_a_scope_around_the_caller_counts_too(tmp_path):
    text = f"""{HEAD}{REST}
toy.Run.phases = (@first/toy.Phase(),)
toy.Phase.steps = 1
first/toy.Phase.weights = {{"a": @toy.Sizes()}}
first/toy.Sizes.width = 5
"""
    (phase,) = resolve(tmp_path / "a.gin", text)["phases"]
    assert phase.weights == {"a": Sizes(5)}


def test_a_value_out_of_range_names_its_setting(tmp_path):
    (tmp_path / "a.gin").write_text(
        f"{HEAD}{REST}W = 3\ntoy.Run.sizes = @toy.Sizes()\ntoy.Sizes.width = %W\n"
    )
    with pytest.raises(InputError, match=r"a\.gin: W: width must be positive, was -1$"):
        gin_resolver.resolve(tmp_path / "a.gin", {"W": "-1"}, Run)


@pytest.mark.parametrize("name", recipes.names())
def test_a_packaged_recipe_needs_no_trust(name):
    file, more = recipes.find(name), {}
    if name.endswith("_128_512"):
        more["SHORT_DATA"] = "short"
    if "INIT=published" in file.read_text():
        more["INIT"] = "published"
    assert gin_resolver.resolve(file, {**SETTINGS, **more}, RunConfig)
