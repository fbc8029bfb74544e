"""Contents and requirements of what is installed, and the contracts of the import lint."""

import ast
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

import official_nlp

TOP_LEVEL = {
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "configs", "official_nlp",
    "setup.py", "tests", "tools",
}  # fmt: skip
# Prints where the recipes were found, then the help of the command, which reads each of them.
PROBE = """
from official_nlp.cli import main
from official_nlp.configuration import recipes
print(recipes.find("demo"))
main.main(["--help"])
"""


def run(*command, cwd=None, **environment):
    """Run a command outside the checkout and return its output."""
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=variables | {key: str(value) for key, value in environment.items()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(repository, tmp_path_factory):
    """A copy of the checkout, so that building changes nothing in the real one."""
    to = tmp_path_factory.mktemp("clone") / "checkout"
    to.mkdir()
    for name in ("official_nlp", "configs"):
        shutil.copytree(repository / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "LICENSE"):
        shutil.copy(repository / name, to)
    return to


@pytest.fixture(scope="module")
def wheel(clone, tmp_path_factory):
    to = tmp_path_factory.mktemp("wheel")
    source = to / "source"
    shutil.copytree(clone, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--no-index", "--wheel-dir", to, source)
    (file,) = to.glob("*.whl")
    return file


@pytest.mark.slow
def test_a_wheel_contains_the_recipes_and_they_are_found(wheel, clone, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    printed = run(sys.executable, "-c", PROBE, cwd=tmp_path, PYTHONPATH=tmp_path / "site")
    assert printed.splitlines()[0] == f"{tmp_path}/site/official_nlp/configs/experiments/demo.gin"
    packed = {
        file.relative_to(tmp_path / "site/official_nlp/configs")
        for file in (tmp_path / "site/official_nlp/configs").rglob("*.*")
    }
    assert packed == {f.relative_to(clone / "configs") for f in (clone / "configs").rglob("*.*")}


@pytest.mark.slow
def test_a_wheel_contains_only_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {"official_nlp", f"official_nlp-{official_nlp.__version__}.dist-info"}


@pytest.mark.slow
def test_a_source_distribution_contains_the_recipes(clone, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(clone, source)
    run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", tmp_path, cwd=source)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    recipes = {str(f.relative_to(clone)) for f in (clone / "configs").rglob("*.*")}
    assert names >= recipes | {"setup.py", "LICENSE", "official_nlp/cli/main.py"}


@pytest.mark.slow
def test_a_wheel_contains_every_module_and_its_types(wheel, clone):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith((".py", ".pyi"))}
        assert "official_nlp/py.typed" in archive.namelist()
    modules = {str(file.relative_to(clone)) for file in (clone / "official_nlp").rglob("*.py*")}
    modules = {name for name in modules if name.endswith((".py", ".pyi"))}
    assert packed == modules
    assert "official_nlp/__init__.pyi" in packed


@pytest.mark.slow
def test_a_wheel_contains_the_page_of_the_server(wheel):
    page = "official_nlp/serving/server/page"
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(page)}
    assert packed == {f"{page}/{name}" for name in ("index.html", "page.css", "page.js")}


def test_the_page_of_the_server_is_package_data(repository):
    tree = ast.parse((repository / "setup.py").read_text())
    (patterns,) = [
        ast.literal_eval(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "package_data"
    ]
    folder = repository / "official_nlp/serving/server"
    declared = {f for p in patterns["official_nlp.serving.server"] for f in folder.glob(p)}
    assert declared == set((folder / "page").iterdir())
    assert len(declared) == 3


@pytest.mark.slow
def test_a_wheel_declares_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        assert "electra = official_nlp.__main__:main" in archive.read(name).decode()


@pytest.mark.slow
def test_an_editable_install_finds_the_recipes_of_the_checkout(clone, tmp_path):
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    (site,) = venv.glob("lib/python*/site-packages")
    # The packages that this interpreter has: installing them again would take minutes.
    (site / "below.pth").write_text("\n".join(p for p in sys.path if p.endswith("-packages")))
    python = venv / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--no-index", "--editable", clone, cwd=tmp_path)
    printed = run(python, "-c", PROBE, cwd=tmp_path)
    assert printed.splitlines()[0] == f"{clone}/configs/experiments/demo.gin"
    assert "electra vocab" in run(venv / "bin" / "electra", "--help", cwd=tmp_path)


@pytest.mark.slow
def test_a_bare_clone_finds_its_recipes(clone, tmp_path):
    printed = run(sys.executable, "-c", PROBE, cwd=tmp_path, PYTHONPATH=clone)
    assert printed.splitlines()[0] == f"{clone}/configs/experiments/demo.gin"


def test_every_recipe_is_in_the_repository(repository):
    if not (repository / ".git").exists():
        pytest.skip("no git checkout")
    tracked = set(run("git", "ls-files", "configs", cwd=repository).splitlines())
    there = {str(f.relative_to(repository)) for f in (repository / "configs").rglob("*.*")}
    assert there == tracked


def test_the_top_level_is_what_it_should_be(repository):
    if not (repository / ".git").exists():
        pytest.skip("no git checkout")
    tops = {line.split("/")[0] for line in run("git", "ls-files", cwd=repository).splitlines()}
    assert {name for name in tops if not name.startswith(".")} <= TOP_LEVEL


def requirements() -> dict[str, str]:
    """Return the requirements of setup.py without the extras, name to constraint."""
    tree = ast.parse((pathlib.Path(__file__).parents[1] / "setup.py").read_text())
    (lines,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "REQUIREMENTS"
    ]
    return {re.match(r"[\w-]+", line)[0]: line for line in lines}


def imported_modules() -> set[str]:
    """Return the top-level packages that the package imports, without the standard library."""
    modules = set()
    for file in pathlib.Path(official_nlp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module.split(".")[0])
    return modules - sys.stdlib_module_names - {"official_nlp"}


def test_every_import_is_required():
    provided = set()
    for name in requirements():
        files = importlib.metadata.distribution(name).files
        provided |= {file.parts[0].removesuffix(".py") for file in files}
    extras = {"torch", "starlette", "uvicorn", "prometheus_client"}
    extras |= {"tf2onnx", "onnxruntime", "ai_edge_litert"}
    assert imported_modules() - provided == extras, "extras are imported late"


def test_installed_versions_meet_the_requirements():
    from packaging.requirements import Requirement

    for line in requirements().values():
        wanted = Requirement(line)
        assert wanted.specifier.contains(importlib.metadata.version(wanted.name)), line


def test_orbit_is_the_training_loop_of_model_garden():
    import orbit

    files = importlib.metadata.distribution("tf-models-official").files
    assert pathlib.Path(orbit.__file__) in {pathlib.Path(file.locate()) for file in files}
    for name in ("Controller", "StandardTrainer", "StandardEvaluator"):
        assert hasattr(orbit, name)


def test_public_names_exist_without_importing_tensorflow():
    code = (
        "import sys, official_nlp as nlp;"
        "nlp.InputError, nlp.ReferenceQuirks; assert set(nlp.__all__) <= set(dir(nlp));"
        "sys.exit('tensorflow' in sys.modules)"
    )
    run(sys.executable, "-c", code, PYTHONPATH=pathlib.Path(official_nlp.__file__).parents[1])


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = official_nlp.nothing


@pytest.mark.slow
def test_the_import_contracts_refuse_violations(repository, clone, tmp_path):
    shutil.copytree(clone / "official_nlp", tmp_path / "official_nlp")
    shutil.copy(repository / ".importlinter", tmp_path)
    violations = {
        "errors.py": "from official_nlp import cli",
        "data/corpus.py": "from official_nlp.tasks import pretraining\nimport tf_keras",
        "modeling/ops.py": "from official_nlp.modeling import layers\nimport orbit",
        "cli/__init__.py": "import gin",
        "tasks/pretraining/__init__.py": "import official",
        "interchange/load_report.py": "import tf_keras",
        "serving/server/rows.py": "import tf_keras",
    }
    for name, lines in violations.items():
        with open(tmp_path / "official_nlp" / name, "a") as file:
            file.write(f"\n{lines}\n")
    lint = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {lint}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Contracts: 0 kept, 7 broken." in done.stdout
