"""Apply a model to texts: classes, entities, answers, replaced words or filled blanks.

MODEL is a run folder, a Hugging Face folder, a folder with generator/ and discriminator/, or a
google-research or Model Garden checkpoint with its vocabulary beside it. The head of the model
decides on inputs and results:

  classifier, regression   TEXT [--pair TEXT]            {"text"}, {"text", "text_pair"}
  token classifier         TEXT                          {"text"}
  question answering       QUESTION --pair CONTEXT       {"question", "context"}
  multiple choice          --file F.jsonl                {"text", "choices"}
  pre-trained pair         TEXT; [MASK] or ___ is a blank to fill, words of other texts are scored
  discriminator            TEXT
  generator                TEXT with [MASK] or ___
  decoder                  TEXT to continue
  encoder                  TEXT [--pair TEXT]

The last column shows the keys of an object of standard input. --file also reads tables (TSV, CSV,
JSON lines, Parquet), whose columns are those of the training, or are found by name and content and
printed; --text and --text-pair name them. Multiple choice reads the files on which it is trained,
question answering also JSON in the format of SQuAD, token classification also .conll: a word in a
line, blank lines between sentences. A .txt file has one text per line.

Results are printed for reading; --to writes them. FILE.tsv, for classes, numbers and choices, has
the columns index and prediction, as submissions to GLUE, and FILE.csv the same with commas. The
index is that of a column index or id of the input, or counts from 0. FILE.json has answers in the
format of SQuAD's submissions, {id: answer}; an empty answer means none. Any other file has a JSON
object for each input.

Besides, --embeddings writes the vectors of texts, or of pairs, from the encoder of any model, and
--labels classifies texts without training: a pre-trained pair or a discriminator chooses the label
whose word is most probably original in the template.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import rich.console

from official_nlp import ranges
from official_nlp.cli import arguments, new_files, printing
from official_nlp.errors import InputError
from official_nlp.files import guarded
from official_nlp.output import counted

if TYPE_CHECKING:
    from official_nlp.inference.fillings import Fillings
    from official_nlp.inference.input_files import FileInputs
    from official_nlp.inference.predictor import Predictor
    from official_nlp.inference.word_swap import WordSwapTest

# Number of sentences of a word-swap test whose original word the generator also predicts.
_FILLED_SENTENCES = 5
# As `inference.embedding.POOLINGS`, whose import would take seconds.
_POOLINGS = ("cls", "mean", "tokens")
_STANDARD_INPUT = "-"
# Prefix of the class names of tasks whose models `Predictor` applies to texts. Tasks of other
# packages predict rows of data files only.
_OWN_TASKS = "official_nlp."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model", type=arguments.model, metavar="MODEL", help="folder or checkpoint of a model"
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="text; several are several inputs")
    parser.add_argument(
        "--pair", metavar="TEXT", help="second text to the only TEXT, or context to a question"
    )
    parser.add_argument(
        "--file",
        type=arguments.path,
        metavar="FILE",
        help="inputs: a table (.tsv, .csv, .jsonl, .parquet, text also .gz), .json with questions "
        "in the format of SQuAD, .conll with tagged words, or any other text file with one text "
        "per line; blank lines are skipped; - reads standard input, as objects if the first line "
        "is one",
    )
    parser.add_argument(
        "--text", metavar="COLUMN", help="column of the texts, or questions, of a table"
    )
    parser.add_argument(
        "--text-pair", metavar="COLUMN", help="column of the second texts, or contexts, of a table"
    )
    parser.add_argument(
        "--to",
        type=arguments.path,
        metavar="FILE",
        help="new file for the results: .tsv or .csv with index and label of each input, .json "
        "with answers by id, .npy for --embeddings, any other with one JSON object per input",
    )
    parser.add_argument(
        "--embeddings",
        choices=_POOLINGS,
        help="write vectors to --to: the output of the last layer at [CLS] (cls), its mean over "
        "all tokens (mean), or all outputs with their tokens (tokens); .npy is a float32 array "
        "[texts, width], .jsonl has one object per text, and is the only format for tokens",
    )
    parser.add_argument(
        "--labels",
        type=_labels,
        metavar="WORD,WORD",
        help="classify without training by these words, or by the words of named labels, "
        "positive=great,negative=terrible",
    )
    parser.add_argument(
        "--template",
        metavar="TEXT",
        help="sentence of --labels with {text}, {label} and perhaps {text_pair} (default: "
        '"{text} It was {label}.")',
    )
    parser.add_argument(
        "--word-swaps",
        type=arguments.integer(1, 1_000_000),
        metavar="COUNT",
        help="word-swap test: sample COUNT sentences of --file, swap one word of each, and rank "
        "the words; FILE must be text that the model was not trained on, such as held_out.txt of "
        "a data folder",
    )
    parser.add_argument(
        "--html",
        type=arguments.path,
        metavar="FILE",
        help="also write scored words and fillings as a new HTML page",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the files of --to and --html if they exist",
    )


def _labels(text: str) -> dict[str, str]:
    """Return the word of each label by its name, from `great,bad` or `good=great,poor=bad`."""
    words: dict[str, str] = {}
    for part in text.split(","):
        name, _, word = part.partition("=")
        name, word = name.strip(), (word if "=" in part else name).strip()
        if not name or not word:
            raise argparse.ArgumentTypeError(
                f"must be words or NAME=WORD, with commas between them; got {ranges.shown(text)}"
            )
        if name in words:
            raise argparse.ArgumentTypeError(f"must differ, but {ranges.shown(name)} occurs twice")
        words[name] = word
    return words


def run(args: argparse.Namespace) -> None:
    """Predict, and print or write the results."""
    if _task_is_foreign(args.model) and not (args.embeddings or args.labels):
        predict_rows(args.model, args)
        return
    # Mistakes in the options and inputs are reported before the model is loaded.
    _check(args)
    inputs = _inputs(args)
    if not inputs and not args.word_swaps and not _reads_table(args):
        raise InputError("predict needs a TEXT, or --file with at least one text")
    console = printing.console(highlight=False)

    from official_nlp.inference.predictor import Predictor

    predictor = Predictor.from_pretrained(args.model)
    _check_format(args, predictor)
    ids = None
    if _reads_table(args):
        found = _read_table(args, predictor)
        ids = found.ids if not inputs else None
        inputs += found.inputs
    if args.embeddings:
        _write_embeddings(predictor, inputs, args, console)
        return
    if args.html and not (predictor.word_scorer or predictor.blank_filler):
        raise InputError(
            "--html shows scored words and filled blanks, but this model has neither a "
            "discriminator nor a generator; use --to instead"
        )
    if args.labels:
        options = {} if args.template is None else {"template": args.template}
        results = _with_warnings(
            lambda: predictor.zero_shot(inputs, args.labels, **options), console
        )
    else:
        results = _with_warnings(lambda: predictor(inputs), console)
    if args.to:
        from official_nlp.inference import prediction_files

        has_range = predictor.has_value_range
        new_files.write(args.to, prediction_files.content(args.to, results, ids, has_range))
        console.print(f"wrote {args.to}: {counted(len(results), 'result')}")
    else:
        _print_results(inputs, results, console)
    test, filled = None, []
    if args.word_swaps:
        test = _test_word_swaps(predictor, args, console)
        filled = _fill_originals(predictor, test, console)
    if args.html:
        _write_page(args, inputs, results, test, filled, console)


def predict_rows(run: str, args: argparse.Namespace) -> None:
    """Write the rows that the task of a run predicts for a data file, for tasks without texts.

    Args:
      run: run folder.
      args: the options.

    Raises:
      InputError: --file or --to is missing, or the file has no examples.
    """
    if not args.file or not args.to:
        raise InputError(
            f"the task of {run}, {_task_class(run)}, has no text predictor; give --file DATA and "
            "--to FILE to write the rows that it predicts for its data"
        )
    _check(args)
    from official_nlp.interchange.saved_run import load_run
    from official_nlp.training import loop

    saved = load_run(run)
    data = saved.task_config.open_evaluation_data(args.file)
    # The devices of the training may not be here, and predictions do not need them.
    training = dataclasses.replace(saved.training, strategy="one_device")
    task = saved.task_config.make({None: data}, training)
    by_set = loop.predict(task, training, run)
    lines = []
    # Arrays by column become one object per row; the set is named only if there are several.
    for name, rows in by_set.items():
        for values in zip(*rows.values()):
            row = {key: value.tolist() for key, value in zip(rows, values)}
            lines.append(json.dumps({"set": name, **row} if len(by_set) > 1 else row))
    if not lines:
        raise InputError(f"{args.file} has no evaluation set, so there is nothing to predict")
    new_files.write(args.to, "".join(f"{line}\n" for line in lines))
    printing.console().print(f"wrote {args.to}: {counted(len(lines), 'row')}")


# === Options and inputs ===


def _check(args: argparse.Namespace) -> None:
    """Refuse contradictory options before the model is loaded."""
    if args.word_swaps is not None:
        if not args.file:
            raise InputError("--word-swaps needs --file with text the model was not trained on")
        if args.to:
            raise InputError("--to writes predictions, and --word-swaps makes a test: give one")
    if args.embeddings:
        _check_embeddings(args)
    elif args.to and args.to.endswith(".npy"):
        raise InputError(f"{args.to} is an array, as --embeddings writes: name a .jsonl file")
    if args.template is not None and not args.labels:
        raise InputError("--template belongs to --labels: give the words of the labels")
    if args.labels and (args.html or args.word_swaps is not None):
        raise InputError("--labels classifies texts; leave --html and --word-swaps out")
    if args.pair is not None and len(args.texts) != 1:
        raise InputError(f"--pair belongs to exactly one TEXT, got {len(args.texts)} texts")
    if args.text is not None or args.text_pair is not None:
        if not _reads_table(args):
            raise InputError("--text and --text-pair name columns of a table: give one as --file")
        if args.text is None:
            raise InputError("--text-pair belongs to --text: name the column of the first texts")
    if _reads_table(args):
        from official_nlp.inference import input_files

        input_files.check(args.file)
    for option, file in (("--to", args.to), ("--html", args.html)):
        if file is not None:
            new_files.check(option, file, args.overwrite, read=args.file)
    if args.to and args.html and os.path.abspath(args.to) == os.path.abspath(args.html):
        raise InputError(f"--to and --html must be two files, both are {args.to}; name another")


def _check_embeddings(args: argparse.Namespace) -> None:
    if not args.to:
        raise InputError("--embeddings needs --to with a new .npy or .jsonl file")
    if args.html or args.labels or args.word_swaps is not None:
        raise InputError(
            "--embeddings writes vectors only; leave --html, --labels and --word-swaps out"
        )
    if args.embeddings == "tokens" and args.to.endswith(".npy"):
        raise InputError(
            f"--embeddings tokens has several vectors for each text, which {args.to} as one array "
            "cannot hold; name a .jsonl file, or choose cls or mean"
        )


def _check_format(args: argparse.Namespace, predictor: "Predictor") -> None:
    """Refuse a table of predictions for a model that has none to put there."""
    from official_nlp.inference import prediction_files

    if args.to and prediction_files.is_table(args.to) and not (predictor.classifies or args.labels):
        raise InputError(
            f"{args.to} is a table of labels, numbers or choices, which this model does not "
            "predict: name a .jsonl file"
        )


def _reads_table(args: argparse.Namespace) -> bool:
    """Return whether --file is a table, or a file in the format of a task."""
    from official_nlp.inference import input_files

    # A word-swap test reads its file as running text.
    return bool(args.file) and args.word_swaps is None and input_files.is_structured(args.file)


def _read_table(args: argparse.Namespace, predictor: "Predictor") -> "FileInputs":
    """Return the inputs of a table; print what was inferred to standard error."""
    as_texts = bool(args.embeddings or args.labels)
    found = predictor.read_file(args.file, args.text, args.text_pair, as_texts)
    notes = printing.console(stderr=True)
    for note in found.notes:
        notes.print(note)
    return found


def _inputs(args: argparse.Namespace) -> list[Any]:
    """Return the inputs of the command line, and of a --file that is no table."""
    inputs: list[Any] = [*args.texts] if args.pair is None else [(args.texts[0], args.pair)]
    if args.file and args.word_swaps is None and not _reads_table(args):
        # `splitlines` would also split at characters that a text or JSON string may contain.
        lines = _read(args.file).split("\n")
        if args.file == _STANDARD_INPUT and _is_json(lines):
            inputs += _objects(args.file, lines)
        else:
            inputs += [line for line in lines if line.strip()]
    return inputs


def _is_json(lines: list[str]) -> bool:
    """Return whether the first line that is not blank is a JSON object."""
    first = next((line for line in lines if line.strip()), "")
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _objects(file: str, lines: list[str]) -> Iterator[dict]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # The latter comes from deep nesting.
            raise InputError(f"{file} line {number} must be a JSON object: {error}") from error
        if not isinstance(value, dict):
            raise InputError(f'{file} line {number} must be a JSON object, such as {{"text": ...}}')
        yield value


def _read(file: str) -> str:
    from official_nlp.inference.input_files import MOST_BYTES

    try:
        # It may be a pipe, which has no size and perhaps no end.
        if file == _STANDARD_INPUT:
            content = sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""
        else:
            with open(file, "rb") as stream:
                content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(
                f"{file} must have at most {MOST_BYTES:,} bytes, has more; divide it into files"
            )
        return content.decode("utf-8-sig")  # with or without byte order mark
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} must be UTF-8 text, but byte {error.start} is not; convert the file"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error


def _task_class(run: str) -> str | None:
    """Return the class of a run's task as `run.json` names it, or None where nothing does."""
    try:
        return str(guarded.read_object(pathlib.Path(run, "run.json"))["task"]["class"])
    except (InputError, KeyError, TypeError):
        return None


def _task_is_foreign(run: str) -> bool:
    name = _task_class(run)
    return name is not None and not name.startswith(_OWN_TASKS)


# === Results ===


def _with_warnings(function: Callable[[], Any], console: rich.console.Console) -> Any:
    """Return the result of a function; print its warnings, such as on truncated inputs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = function()
    for warning in caught:
        console.print(f"warning: {warning.message}", style="yellow")
    return result


def _write_embeddings(
    predictor: "Predictor",
    inputs: list[Any],
    args: argparse.Namespace,
    console: rich.console.Console,
) -> None:
    try:
        _with_warnings(
            lambda: predictor.write_embeddings(inputs, args.to, args.embeddings), console
        )
    except OSError as error:
        raise new_files.cannot_write(args.to, error) from error
    console.print(f"wrote {args.to}: vectors of {counted(len(inputs), 'text')}")


def _print_results(inputs: list[Any], results: list, console: rich.console.Console) -> None:
    from official_nlp.inference import terminal
    from official_nlp.inference.fillings import Fillings
    from official_nlp.inference.replaced_words import ReplacedWords

    others = []  # Results of other kinds share one table.
    for value, result in zip(inputs, results):
        if isinstance(result, ReplacedWords):
            terminal.print_words(_text(value), result, console)
        elif isinstance(result, Fillings):
            terminal.print_fillings(_text(value), result, console)
        else:
            others.append((value, result))
    if others:
        terminal.print_table(others, console)


def _text(value: Any) -> str:
    """Return the text of an input that has one alone."""
    return value["text"] if isinstance(value, dict) else value


def _write_page(args, inputs, results, test, filled, console: rich.console.Console) -> None:
    from official_nlp.inference import html_page
    from official_nlp.inference.fillings import Fillings
    from official_nlp.inference.replaced_words import ReplacedWords

    pairs = list(zip(inputs, results))
    scored = [(_text(value), r) for value, r in pairs if isinstance(r, ReplacedWords)]
    own = [(_text(value), r) for value, r in pairs if isinstance(r, Fillings)]
    title = f"Words scored by {args.model}"
    new_files.write(args.html, html_page.page(title, test, scored, own + filled))
    console.print(f"wrote {args.html}")


# === Word-swap test ===


def _test_word_swaps(
    predictor: "Predictor", args: argparse.Namespace, console: rich.console.Console
) -> "WordSwapTest":
    from official_nlp.inference import terminal, word_swap_test

    test = word_swap_test(predictor, _read(args.file), args.word_swaps)
    terminal.print_word_swaps(test, console)
    return test


def _fill_originals(
    predictor: "Predictor", test: "WordSwapTest", console: rich.console.Console
) -> "list[tuple[str, Fillings]]":
    """Let the generator, if there is one, predict the original words of the first sentences."""
    from official_nlp.inference import terminal

    if predictor.blank_filler is None:
        return []
    texts = []
    for swap in test.sentences[:_FILLED_SENTENCES]:
        word = swap.words[swap.position]
        texts.append(f"{swap.text[: word.start]}___{swap.text[word.end :]}")
    filled = list(zip(texts, predictor.blank_filler.predict(texts)))
    for text, fillings in filled:
        terminal.print_fillings(text, fillings, console)
    return filled
