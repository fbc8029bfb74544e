"""Export a model as a SavedModel that takes strings, for servers.

MODEL is anything that `electra predict` reads: a run folder, a Hugging Face folder, a folder with
generator/ and discriminator/, or a google-research or Model Garden checkpoint with its vocabulary
beside it. Programs need only tensorflow and tensorflow_text to load the result. Before it appears,
a new process that imports these two alone runs it on sample texts, and the results must equal those
of the model.

  electra export runs/reviews/model --to served/reviews
  electra info served/reviews                                   (signatures, inputs, outputs)
  electra predict served/reviews "An awful film."
"""

import argparse

from official_nlp.cli import arguments, printing

# Formats to write; the name of the option leaves room for others.
_FORMATS = ("saved_model",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model", type=arguments.model, metavar="MODEL", help="folder or checkpoint of a model"
    )
    parser.add_argument(
        "--to",
        required=True,
        type=arguments.path,
        metavar="DIR",
        help="folder in the layout of TensorFlow Serving: the model is written as DIR/1, or as the "
        "next version if DIR has some",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default=_FORMATS[0],
        help="format to write (default: %(default)s)",
    )
    parser.add_argument(
        "--length",
        type=arguments.integer(4, 1_000_000),
        metavar="TOKENS",
        help="largest number of tokens in a sequence (default: that of training, or the model's)",
    )
    parser.add_argument(
        "--long-texts",
        choices=("windows", "truncate"),
        default="windows",
        help="texts that are longer than a sequence: divide them into windows where `electra "
        "predict` does, or read their beginning (default: %(default)s)",
    )
    arguments.add_checkpoint(parser)


def run(args: argparse.Namespace) -> None:
    """Export, and print the signatures."""
    console = printing.console(highlight=False)

    from official_nlp.inference.predictor import Predictor
    from official_nlp.serving.saved_model import export

    predictor = Predictor.from_pretrained(
        args.model, length=args.length, checkpoint=args.checkpoint
    )
    version = export(predictor, args.to, long_texts=args.long_texts)
    printing.print_exported(version, console)
    console.print(f"wrote {version}: a process with tensorflow and tensorflow_text alone ran it")
