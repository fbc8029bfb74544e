"""Fine-tune a text classifier from Python, in one call."""

import os
import pathlib
from typing import Any

import rich.console

from official_nlp import output
from official_nlp.data.tables import table
from official_nlp.inference.predictor import Predictor
from official_nlp.runs import finished_run, prepared_run
from official_nlp.tasks import TextClassificationConfig
from official_nlp.tasks.finetuning.data import DEV, ExampleSet, TaskData, hold_out
from official_nlp.training import PhaseConfig, RunConfig, TrainingConfig, loop


def fine_tune(
    init: str | os.PathLike,
    train: Any,
    model_dir: str | os.PathLike,
    *,
    dev: Any = None,
    task: TextClassificationConfig | None = None,
    epochs: float = 3,
    batch_size: int = 32,
    learning_rate: float = 1e-4,
    keep_best: str = "loss",
    seed: int = 0,
    quiet: bool = False,
) -> Predictor:
    """Fine-tune a pretrained encoder to classify texts; return a predictor of its best checkpoint.

    The run folder is that of `electra train text_classification`: the same call continues a run
    that was stopped, and `model_dir/model` is a Hugging Face folder.

    Args:
      init: pretrained weights: a run, a Hugging Face folder or a checkpoint.
      train: training examples: a list of dicts such as `{"text": ..., "label": ...}`, a dict of
        columns, or a DataFrame of pandas.
      model_dir: the run folder, new or that of the same run.
      dev: examples for evaluation, in the same form; None to hold out a tenth of `train`.
      task: names of columns, length and further settings; None to infer them, with sequences of at
        most 128 tokens and a decay of learning rates by layer of 0.8.
      epochs: passes over the training examples.
      batch_size: examples of a batch.
      learning_rate: peak learning rate, that of the head.
      keep_best: metric that chooses the checkpoint, such as `accuracy`; by default the loss, which
        every problem has.
      seed: seed of initial values and of the order of examples.
      quiet: print nothing.

    Raises:
      InputError: an argument or a row cannot be used.

    Example:
      predictor = nlp.fine_tune("published", rows, "runs/reviews")
      predictor(["An awful film."])[0].label
    """
    console = rich.console.Console(quiet=True) if quiet else output.Console()
    settings = TextClassificationConfig(layer_decay=0.8) if task is None else task
    data = _data(settings, train, dev)
    training = TrainingConfig(
        learning_rate=learning_rate,
        warmup_steps=None,
        warmup_fraction=0.1,
        weight_decay=0.0,
        evaluations=10,
        checkpoint_interval=None,
        evaluation_interval=None,
        keep=1,
        keep_best=keep_best,
        seed=seed,
    )
    phase = PhaseConfig(None, batch_size, settings.length, epochs=epochs)
    config = RunConfig(
        settings, (phase,), "rows", os.fspath(model_dir), training, init={"": os.fspath(init)}
    )
    run = prepared_run.prepare(config, False, console, {None: data})
    loop.train(
        run.task,
        run.phases,
        run.config.training,
        model_dir,
        data=run.data,
        warm_start=run.warm_start,
        console=console,
    )
    found = finished_run.finish(run.task, run.config.training, model_dir)
    if found.failure:
        console.print(f"warning: {found.failure}: the run has failed")
    return Predictor.from_pretrained(pathlib.Path(model_dir, finished_run.MODEL))


def _data(settings: TextClassificationConfig, train: Any, dev: Any) -> TaskData:
    notes: list[str] = []

    def examples(rows: Any, name: str) -> ExampleSet:
        found = settings.examples_of(table.table_of(rows, name))
        notes.extend(line for line in found.notes if line not in notes)
        return ExampleSet(pathlib.Path(name), found.examples, found.columns)

    own = examples(train, "train")
    if dev is None:
        own, held_out = hold_out(settings, own, notes)
    else:
        held_out = examples(dev, "dev")
    return TaskData(own, {DEV: held_out}, {}, "rows", notes)
