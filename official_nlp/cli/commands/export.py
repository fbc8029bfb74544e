"""Export a model for servers, phones and other programs.

MODEL is anything that `electra predict` reads: a run folder, a Hugging Face folder, a folder with
generator/ and discriminator/, or a google-research or Model Garden checkpoint with its vocabulary
beside it. The formats:

  saved_model  a SavedModel that takes strings; programs need tensorflow and tensorflow_text, and
               `electra serve` serves it
  onnx         a file for each network, from token ids to logits, for ONNX Runtime and Triton
               (pip install 'official_nlp[onnx]')
  litert       the same for LiteRT, formerly TensorFlow Lite (pip install 'official_nlp[litert]')
  onnx-int8, litert-int8
               with 8-bit weights: a quarter of the size, faster on most processors, less exact

Before a version appears, a new process that has only the packages of the format runs it on samples,
and the results must equal those of the model. For int8 the largest difference is printed, and --dev
measures what it costs.

  electra export runs/reviews/model --to served/reviews
  electra export runs/reviews/model --to phone --format litert-int8 --dev dev.tsv
  electra export runs/reviews/model --to triton/reviews --format onnx --triton
  electra info served/reviews                                   (signatures, inputs, outputs)
  electra predict served/reviews "An awful film."
"""

import argparse

from official_nlp.cli import arguments, printing
from official_nlp.inference import exported_files

# What a program needs to run an exported model.
_PACKAGES = {
    exported_files.SAVED_MODEL: "tensorflow and tensorflow_text",
    exported_files.ONNX: "onnxruntime and numpy",
    exported_files.ONNX_INT8: "onnxruntime and numpy",
    exported_files.LITERT: "ai_edge_litert and numpy",
    exported_files.LITERT_INT8: "ai_edge_litert and numpy",
}


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
        choices=exported_files.FORMATS,
        default=exported_files.SAVED_MODEL,
        help="format to write (default: %(default)s)",
    )
    parser.add_argument(
        "--dev",
        type=arguments.data,
        metavar="FILE",
        help="labeled examples of the task: nothing is exported if the metric loses more than half "
        "a point of 100",
    )
    parser.add_argument(
        "--triton",
        action="store_true",
        help="also write DIR/config.pbtxt, with which DIR is a model of Triton's repository; for "
        "onnx and onnx-int8",
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
        help="of a saved_model: divide texts that are longer than a sequence into windows, where "
        "`electra predict` does, or read their beginning (default: windows)",
    )
    arguments.add_checkpoint(parser)


def run(args: argparse.Namespace) -> None:
    """Export, and print the signatures."""
    console = printing.console(highlight=False)

    from official_nlp.inference.predictor import Predictor
    from official_nlp.serving.export_model import export

    predictor = Predictor.from_pretrained(
        args.model, length=args.length, checkpoint=args.checkpoint
    )
    version = export(
        predictor,
        args.to,
        args.format,
        dev=args.dev,
        triton=args.triton,
        long_texts=args.long_texts,
    )
    printing.print_exported(version, console)
    console.print(f"wrote {version}: a process with {_PACKAGES[args.format]} alone ran it")
