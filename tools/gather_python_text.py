"""Writes the English text that every Python carries: something to learn from without a download.

    python tools/gather_python_text.py text.txt

Three sources: the language reference (`pydoc_data.topics`), the docstrings of the standard
library's own files, and those of its modules written in C. A topic or a module is a document;
blank lines lie between documents. A paragraph is a line; code, signatures and tables keep their
lines, as text that repeats itself is what a tiny model learns something of in minutes. No
docstring and no longer line comes twice, so that a document kept for evaluation is new. The same
Python gives the same bytes; another version, nearly the same text.
"""

import argparse
import ast
import importlib
import importlib.machinery
import inspect
import os
import pathlib
import re
import sys
import sysconfig
import warnings

# Not documentation of the standard library, or only of its tests.
SKIPPED_FOLDERS = {
    "__pycache__", "_bundled", "dist-packages", "idle_test", "site-packages", "test", "tests",
}  # fmt: skip

MARKUP = [
    (re.compile(r"`([^`<]+?)\s*<[^>]+>`_+"), r"\1"),  # `text <address>`_
    (re.compile(r":[a-z:+-]+:`[~!]?([^`]*)`"), r"\1"),  # :func:`name`
    (re.compile(r"``([^`]+)``"), r"\1"),
    (re.compile(r"`([^`]+)`_?"), r"\1"),
    (re.compile(r"(?<![\w*])\*{1,2}([^*\s][^*]*)\*{1,2}(?![\w*])"), r"\1"),
    (re.compile(r"^\s*(?:[-*+o•]|\(?\d+[.)]|\[\d+\])\s+"), ""),  # bullets and numbers
    (re.compile(r"^\s*[@:](?:param|return|type|raises?)[^:]*:\s*"), ""),
    (re.compile(r"::\s*$"), ":"),
    (re.compile(r"\s+"), " "),
]
BULLET = re.compile(r"^\s*(?:[-*+•]|\(?\d+[.)])\s")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
FEWEST_WORDS = 8
RULER = re.compile(r"^\s*([-=~*#^+_.\"'])\1{2,}\s*$")


def topics() -> list[list[str]]:
    """The language reference: a document for each topic."""
    from pydoc_data.topics import topics as texts

    return [[texts[name]] for name in sorted(texts)]


def docstrings_of_files(root: pathlib.Path) -> list[list[str]]:
    """A document for each file under `root`: its docstrings in the order of the file."""
    documents = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
        for name in sorted(files):
            if name.endswith(".py"):
                documents.append(docstrings_of_source(pathlib.Path(folder, name).read_bytes()))
    return documents


def docstrings_of_source(source: bytes) -> list[str]:
    """All docstrings of one file; none if this Python cannot read it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return [text for text in map(ast.get_docstring, nodes) if text]


def docstrings_of_extensions() -> list[list[str]]:
    """A document for each module of the standard library that is written in C."""
    documents = []
    for name in sorted(sys.stdlib_module_names | set(sys.builtin_module_names)):
        if "test" in name:
            continue
        spec = importlib.machinery.PathFinder.find_spec(name)
        compiled = spec and isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)
        if compiled or name in sys.builtin_module_names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of modules that a later Python drops
                try:
                    module = importlib.import_module(name)
                except ImportError:  # for want of a library on this machine
                    continue
            documents.append(docstrings_of_object(module, depth=2))
    return documents


def docstrings_of_object(thing, depth: int) -> list[str]:
    """The docstring of a module or class and, down to `depth`, of what it holds."""
    texts = [thing.__doc__] if isinstance(getattr(thing, "__doc__", None), str) else []
    if depth > 0 and (inspect.ismodule(thing) or inspect.isclass(thing)):
        for name in sorted(vars(thing)):
            member = vars(thing)[name]
            if callable(member) or inspect.isgetsetdescriptor(member):
                texts += docstrings_of_object(member, depth - 1)
    return [inspect.cleandoc(text) for text in texts]


def lines(text: str) -> list[str]:
    """The paragraphs of a docstring, a line each; its code, tables and signatures as they are."""
    found, paragraph, last = [], [], 0
    for line in [*text.expandtabs().splitlines(), ""]:
        indent = len(line) - len(line.lstrip())
        if not line.strip() or RULER.match(line) or BULLET.match(line) or indent != last:
            found.append(" ".join(paragraph))
            paragraph = []
        if line.strip() and not RULER.match(line):
            paragraph.append(line.strip())
        last = indent
    for pattern, replacement in MARKUP:
        found = [pattern.sub(replacement, line) for line in found]
    return [line.strip() for line in found if line.strip()]


def is_known(line: str, seen: set[str]) -> bool:
    """Whether a sentence of a line has come before; short ones may come again. Remembers them."""
    long = [part for part in SENTENCE_END.split(line) if len(part.split()) >= FEWEST_WORDS]
    known = any(part in seen for part in long)
    seen.update(long)
    return known


def write(to: pathlib.Path, sources: dict[str, list[list[str]]]) -> dict[str, tuple[int, int, int]]:
    """Writes all documents; returns documents, lines and bytes of each source."""
    seen, written = set(), {}
    with open(to, "wb") as file:
        for source, documents in sources.items():
            counts = [0, 0, 0]
            for texts in documents:
                new = [text for text in texts if not (text in seen or seen.add(text))]
                found = [line for text in new for line in lines(text) if not is_known(line, seen)]
                if found:
                    block = "\n".join(found) + "\n\n"
                    counts[0] += 1
                    counts[1] += len(found)
                    counts[2] += file.write(block.encode(errors="replace"))
            written[source] = tuple(counts)
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=pathlib.Path, help="the text file to write")
    out = parser.parse_args().out
    sources = {
        "language reference": topics(),
        "library": docstrings_of_files(pathlib.Path(sysconfig.get_paths()["stdlib"])),
        "modules in C": docstrings_of_extensions(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed, so that a file under this name is always whole.
    unfinished = out.with_name(out.name + ".unfinished")
    for source, (documents, count, size) in write(unfinished, sources).items():
        print(f"{source}: {documents} documents, {count} lines, {size / 1e6:.2f} MB")
    os.replace(unfinished, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
