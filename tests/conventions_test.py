"""Conventions that a reader of the source relies on, checked without importing it.

Each source file is parsed once. A test collects all offenders, so that one run shows all of them.
"""

import ast
import dataclasses
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "official_nlp"
MODELING = PACKAGE / "modeling"

# Methods that Keras defines: what they do is described by the docstring of the class.
KERAS_METHODS = (
    *("__init__", "__call__", "build", "call", "get_config"),
    *("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "metrics"),
    *("get_compile_config", "compile_from_config"),
)
SECTIONS = r"^(Call|Args|Attributes|Returns|Raises|Example|Reference):"


@dataclasses.dataclass(frozen=True)
class Function:
    """A public function or method, or a constructor.

    Attributes:
      where: path and qualified name, for messages.
      node: its definition.
      is_method: whether the first argument is the object or class.
    """

    where: str
    node: ast.FunctionDef
    is_method: bool

    def unannotated(self) -> list[str]:
        arguments = self.node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        static = any(ast.unparse(d) == "staticmethod" for d in self.node.decorator_list)
        every = every[1:] if self.is_method and not static else every
        names = [argument.arg for argument in every if argument.annotation is None]
        no_return = self.node.returns is None and self.node.name != "__init__"
        return names + (["return"] if no_return else [])


TREES = {
    str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def public_functions(path: str) -> list[Function]:
    found = []

    def visit(nodes, owner: str):
        for node in nodes:
            if isinstance(node, ast.FunctionDef):
                overload = any("overload" in ast.unparse(d) for d in node.decorator_list)
                public = not node.name.startswith("_") or node.name in KERAS_METHODS
                if public and not overload:
                    found.append(Function(f"{path}: {owner}{node.name}", node, bool(owner)))
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                visit(node.body, f"{node.name}.")

    visit(TREES[path].body, "")
    return found


def public_classes(path: str) -> list[ast.ClassDef]:
    nodes = TREES[path].body
    return [n for n in nodes if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]


def imported_names(tree: ast.Module) -> set[str]:
    """Return the full names of all imports, `from` and function-level imports included."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


# === Annotations and docstrings ===
def test_public_functions_are_annotated():
    offenders = [
        f"{function.where}: {', '.join(names)}"
        for path in TREES
        for function in public_functions(path)
        if (names := function.unannotated())
    ]
    assert not offenders, "\n".join(offenders)


def inherited_methods() -> set[tuple[str, str]]:
    """Return (class, method) of all methods that a base class of this package declares as well."""
    classes = {c.name: c for tree in TREES.values() for c in ast.walk(tree) if is_class(c)}

    def declared(cls: ast.ClassDef) -> set[str]:
        names = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
        return names.union(*(declared(base) for base in bases(cls)))

    def bases(cls: ast.ClassDef) -> list[ast.ClassDef]:
        names = [ast.unparse(base).split(".")[-1] for base in cls.bases]
        return [classes[name] for name in names if name in classes and name != cls.name]

    return {
        (c.name, name) for c in classes.values() for base in bases(c) for name in declared(base)
    }


def is_class(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef)


def test_modules_classes_and_functions_have_docstrings():
    # The base class describes a method that is inherited, and Keras describes its own.
    inherited = {f"{cls}.{name}" for cls, name in inherited_methods()}
    offenders = []
    for path in TREES:
        described = [(path, TREES[path]), *((f"{path}: {c.name}", c) for c in public_classes(path))]
        described += [
            (function.where, function.node)
            for function in public_functions(path)
            if function.node.name not in KERAS_METHODS
            and function.where.partition(": ")[2] not in inherited
        ]
        offenders += [where for where, node in described if not ast.get_docstring(node)]
    assert not offenders, "\n".join(offenders)


def test_docstrings_of_functions_open_with_an_imperative():
    offenders = []
    for path in TREES:
        for node in ast.walk(TREES[path]):
            if not isinstance(node, ast.FunctionDef) or not ast.get_docstring(node):
                continue
            is_property = any("property" in ast.unparse(d) for d in node.decorator_list)
            first = ast.get_docstring(node).split()[0]
            # "Returns", "Reads", ...; verbs such as "Pass" end in ss.
            third_person = re.fullmatch(r"[A-Z][a-z]+[^s]s", first)
            if third_person and not is_property:
                offenders.append(f"{path}: {node.name}: {first}")
    assert not offenders, "\n".join(offenders)


# === Imports ===
def test_forbidden_packages_are_not_imported():
    # Orbit comes with Model Garden, whose own packages this project replaces. tf_keras is not the
    # Keras that TensorFlow imports as tf.keras, and gin.tf does not load under TensorFlow 2.20.
    forbidden = ("official", "tensorflow_models", "keras", "tensorflow.keras", "gin.tf")
    offenders = [
        f"{path}: {name}"
        for path, tree in TREES.items()
        for name in imported_names(tree)
        if any(f"{name}.".startswith(f"{package}.") for package in forbidden)
    ]
    attributes = ("tf.keras", "gin.tf")
    offenders += [
        f"{path}: {ast.unparse(node)}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in attributes
    ]
    assert not offenders, "\n".join(offenders)


def test_one_module_imports_gin():
    modules = [path for path, tree in TREES.items() if "gin" in imported_names(tree)]
    assert len(modules) == 1, modules


# === Names ===
def test_no_file_is_named_after_nothing_in_particular():
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    folders = (PACKAGE, ROOT / "tests", ROOT / "tools")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert not [path for path in paths if path.stem in vague]


def test_files_have_the_words_of_the_field():
    # The reader knows a run, a job or a process.
    words = re.compile(r"\b(sessions?|agents?|helpers?|workspaces?)\b", re.IGNORECASE)
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.md"), *(ROOT / "configs").rglob("*.*")]
    files += [ROOT / "README.md", ROOT / "setup.py", *(ROOT / "tools").glob("*.*")]
    offenders = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if words.search(line)
    ]
    assert not offenders, "\n".join(offenders)


# === Lazy packages and their stubs ===
LAZY = [path for path, tree in TREES.items() if "__getattr__, __dir__" in ast.unparse(tree)]


def lazy_table(path: str) -> dict[str, str]:
    """Return the table of a lazy `__init__.py`: public name to the module that defines it."""
    for node in TREES[path].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_WHERE":
            table = ast.literal_eval(node.value)
            return {name: where.partition(":")[0].split(".")[-1] for name, where in table.items()}
    raise AssertionError(f"{path} has no table _WHERE")


def stub_table(path: str) -> dict[str, str]:
    """Return the names that a stub exports, as `from module import name as name`."""
    found = {}
    for node in ast.parse((PACKAGE / path).with_suffix(".pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "only a redundant alias exports a name"
                found[alias.name] = node.module.split(".")[-1]
    return found


@pytest.mark.parametrize("path", LAZY)
def test_a_stub_has_the_names_of_the_lazy_package(path):
    table, stub = lazy_table(path), stub_table(path)
    assert stub.keys() == table.keys()
    for name, module in table.items():
        # A stub imports a submodule from its package, and anything else from its own module.
        is_submodule = module == name or (PACKAGE / path).parent.joinpath(name).is_dir()
        assert is_submodule or stub[name] == module, name


def test_the_package_declares_its_types():
    assert (PACKAGE / "py.typed").exists()


# === Layers, networks and models: who has read one file has read all ===
ORDER = ["__init__", "build", "call", "get_config"]
FOLDERS = ("layers", "networks", "models")


def exported(folder: str) -> list[str]:
    for node in TREES[f"modeling/{folder}/__init__.py"].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{folder} has no __all__")


def exported_classes():
    """Yield (folder, path, class) of all public classes of the modeling library."""
    for folder in FOLDERS:
        for path in TREES:
            if path.startswith(f"modeling/{folder}/"):
                for cls in public_classes(path):
                    if cls.name in exported(folder):
                        yield folder, path, cls


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def sections(cls: ast.ClassDef) -> dict[str, str]:
    """Return the parts of a docstring by the word that opens them."""
    parts = re.split(SECTIONS, ast.get_docstring(cls), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def documented(section: str) -> set[str]:
    """Return the names that a section explains, as `name:` or `one, another:`."""
    heads = re.findall(r"^  ([\w*][\w*, ]*):", section, flags=re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


def is_dataclass(cls: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in cls.decorator_list)


def method(cls: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == name), None)


def arguments(cls: ast.ClassDef) -> set[str]:
    """Return the names of the constructor's arguments, without `self` and `**kwargs`."""
    if is_dataclass(cls):
        return {node.target.id for node in cls.body if isinstance(node, ast.AnnAssign)}
    init = method(cls, "__init__")
    if init is None:
        return set()
    return {argument.arg for argument in [*init.args.args, *init.args.kwonlyargs]} - {"self"}


def test_a_file_holds_one_public_class_which_it_is_named_after():
    found: dict[str, list[str]] = {folder: [] for folder in FOLDERS}
    for folder, path, cls in exported_classes():
        assert pathlib.Path(path).stem == snake_case(cls.name)
        found[folder].append(cls.name)
    for folder in FOLDERS:
        assert sorted(found[folder]) == sorted(exported(folder))


def test_classes_are_registered_under_the_name_of_the_package():
    offenders = [
        cls.name
        for _, _, cls in exported_classes()
        if not is_dataclass(cls)
        and not any(
            "register_keras_serializable(package='official_nlp')" in ast.unparse(decorator)
            for decorator in cls.decorator_list
        )
    ]
    assert not offenders


def test_methods_come_in_the_order_in_which_they_run():
    for _, path, cls in exported_classes():
        methods = [node.name for node in cls.body if isinstance(node, ast.FunctionDef)]
        main = [name for name in methods if name in ORDER]
        assert main == [name for name in ORDER if name in main], path
        assert is_dataclass(cls) or methods[0] in ORDER, f"{path}: helpers follow their users"


def test_layers_have_a_call_and_a_configuration_of_their_arguments():
    for folder, path, cls in exported_classes():
        if folder == "layers":
            assert method(cls, "call"), path
            assert bool(method(cls, "__init__")) == bool(method(cls, "get_config")), path
            assert re.search(r"`\[[^]]+\]`", sections(cls)["Call"]), f"{path}: shapes of the call"


def test_every_argument_is_documented():
    offenders = []
    for _, path, cls in exported_classes():
        names = arguments(cls)
        section = "Attributes" if is_dataclass(cls) else "Args"
        explained = documented(sections(cls).get(section, ""))
        offenders += [f"{path}: {name} is missing" for name in names - {"name"} - explained]
        offenders += [f"{path}: {name} does not exist" for name in explained - names]
    assert not offenders, "\n".join(offenders)


def test_every_error_is_documented():
    offenders = []
    for _, path, cls in exported_classes():
        described = sections(cls).get("Raises", "")
        for node in cls.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                described += ast.get_docstring(node) or ""
        for node in ast.walk(cls):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                error = ast.unparse(node.exc.func)
                offenders += [] if error in described else [f"{path}: {error}"]
    assert not offenders, "\n".join(offenders)


def test_every_class_has_an_example():
    offenders = [path for _, path, cls in exported_classes() if "Example" not in sections(cls)]
    assert not offenders


# === The configuration of the lint ===
def test_the_lint_refuses_what_is_banned():
    banned = [
        "tf.keras.layers.Dense(1)",
        "tf.random.uniform([1])",
        "tf.random.stateless_uniform([1], [1, 2])",
        "tf.random.stateless_categorical([[0.0]], 1, [1, 2])",
        "tf.random.set_seed(1)",
        "tf.nn.dropout(1.0, 0.1)",
        "tf.nn.experimental.stateless_dropout(1.0, 0.1, [1, 2])",
        "tf_keras.layers.Dropout(0.1)",
        "tf.numpy_function(print, [], [])",
        "gin.tf",
        "official.nlp",
        "tensorflow_models.nlp",
    ]
    imports = ["gin.tf", "official", "tensorflow as tf", "tensorflow_models", "tf_keras"]
    source = "\n".join([*(f"import {name}" for name in imports), "", *banned, ""])
    lint = [sys.executable, "-m", "ruff", "check", "--config", ROOT / ".ruff.toml"]
    done = subprocess.run(
        [*lint, "--select", "TID251", "--output-format", "concise", "--stdin-filename"]
        + [PACKAGE / "x.py", "-"],
        input=source,
        capture_output=True,
        text=True,
    )
    refused = {int(line) for line in re.findall(r"x\.py:(\d+):", done.stdout)}
    first = len(imports) + 2
    # `official` and `tensorflow_models` are refused where they are imported.
    expected = set(range(first, first + len(banned) - 3)) | {1, 2, 4}
    assert refused >= expected, done.stdout


def test_no_traced_code_has_assignment_expressions():
    # AutoGraph cannot transform them, runs the function as it is, and warns in every `fit`.
    for file in sorted((ROOT / "official_nlp/modeling").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)], file
