"""Score how probably each word was replaced, and fill each [MASK]."""

import argparse
import pathlib

import rich.text

from official_nlp.cli import printing
from official_nlp.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="sentence; [MASK] is a blank")
    parser.add_argument("--file", metavar="FILE", help="text file, one text per line")
    parser.add_argument(
        "--word-swaps",
        type=int,
        metavar="COUNT",
        help="word-swap test: sample COUNT sentences of --file, swap one word of each, and rank "
        "the words; FILE must be text that the run was not trained on, such as held_out.txt of a "
        "data folder",
    )
    parser.add_argument("--html", metavar="FILE", help="write a page with coloured words")


def run(args: argparse.Namespace) -> None:
    """Print scores and fillings, and write the page."""
    from official_nlp.inference import html_page, word_swap_test

    texts = [*args.texts]
    content = _read(args.file) if args.file else ""
    swap = args.word_swaps
    if swap is not None and swap < 1:
        raise InputError(f"--word-swaps must be a number of sentences, at least 1, was {swap}")
    if swap and not args.file:
        raise InputError("--word-swaps needs --file, text that the run was not trained on")
    if swap is None:
        texts += [line for line in content.splitlines() if line.strip()]
    if not texts and not swap:
        raise InputError("predict needs a TEXT, or --file with some")
    console = printing.console(highlight=False)
    scorer = _scorer(args.run)
    blank = [text for text in texts if scorer.has_blank(text)]
    plain = [text for text in texts if not scorer.has_blank(text)]
    scored = list(zip(plain, scorer.score(plain)))
    for text, words in scored:
        console.print(html_page.styled(text, words))
        console.print(f"  {html_page.suspects(text, words)}", style="dim")
    fillings = _fill(scorer, blank)
    test = word_swap_test(scorer, content, swap) if swap else None
    if test:
        fillings += _fill(scorer, _blanked(test, count=5))
        _print_word_swaps(test, console)
    _print_fillings(fillings, console)
    if args.html:
        title = f"Words scored by {args.run}"
        _write(args.html, html_page.page(title, test, scored, fillings))
        console.print(f"wrote {args.html}")


def _scorer(run):
    from official_nlp.inference import WordScorer
    from official_nlp.interchange.saved_run import SavedRun

    saved = SavedRun(run)
    length = max(phase["length"] for phase in saved.fixed["phases"])
    return WordScorer(saved.model, saved.tokenizer, length)


def _fill(scorer, texts) -> list:
    from official_nlp.inference.html_page import Filling

    return [Filling(text, best) for text in texts for best in scorer.fill(text)]


def _blanked(test, count) -> list[str]:
    """Returns some sentences of a test, the swapped word put back and hidden by a blank."""
    texts = []
    for swap in test.sentences[:count]:
        word = swap.words[swap.place]
        texts.append(f"{swap.text[: word.start]}[MASK]{swap.text[word.end :]}")
    return texts


def _read(file) -> str:
    try:
        return pathlib.Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} must be UTF-8 text, byte {error.start} is not; convert it"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error


def _write(file, content: str):
    try:
        pathlib.Path(file).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write {file}: {error.strerror}; name a file in a folder that is there"
        ) from error


def _print_word_swaps(test, console, count=10):
    """Prints some sentences of an `WordSwapTest`, and what all of them come to."""
    from official_nlp.inference import html_page

    console.print(html_page.CAUTION, style="dim")
    for swap in test.sentences[:count]:
        console.print()
        console.print(html_page.styled(swap.text, swap.words, swap.place))
        console.print(
            f"  most suspicious: {html_page.suspects(swap.text, swap.words)}; "
            f"the swapped word, underlined, ranks {swap.rank} of {len(swap.words)}; "
            f"it was {swap.original!r}",
            style="dim",
        )
    console.print()
    console.print("\n".join(html_page.verdict(test)))


def _print_fillings(fillings, console):
    """Prints sentences with a blank and the generator's best tokens for it."""
    for filling in fillings:
        best = ", ".join(f"{token} {chance:.0%}" for token, chance in filling.best)
        console.print(rich.text.Text(filling.text))
        console.print(f"  the generator's best: {best}", style="dim")
