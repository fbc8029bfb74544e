"""Train a model by a recipe, or continue a run that was stopped.

The same command continues the run. Every run writes its configuration as RUN/config.gin, which is a
recipe too.
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib

from official_nlp.cli import arguments, printing
from official_nlp.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_recipe(parser)


def run(args: argparse.Namespace) -> None:
    """Resolve the recipe, and train."""
    from official_nlp.configuration import gin_resolver, recipes

    recipe = recipes.find(args.recipe)
    settings = recipes.split_settings(args.settings)
    values, text = gin_resolver.resolve(recipe, settings, train)
    if args.dry_run:
        print(text)
    train(**values, dry_run=args.dry_run, configuration_text=text)


def train(
    *,
    model_dir,
    data,
    task,
    phases,
    training,
    vocabulary=None,
    epochs=None,
    original=False,
    extend=False,
    init_generator=None,
    init_discriminator=None,
    init_shared=None,
    dry_run=False,
    configuration_text="",
) -> dict[str, float]:
    """Pre-trains, or continues a run that was stopped.

    Args:
      model_dir: the run folder.
      data: the data folder.
      task: a `PretrainingConfig`.
      phases: sequence of `PhaseConfig`.
      training: a `TrainingConfig`.
      vocabulary: vocabulary file or tokenizer folder of data that has none beside it, as shards of
        google-research have not.
      epochs: times through the data, instead of the steps of the only phase.
      original: reproduce the quirks of google-research's code, `ReferenceQuirks.original()`,
        instead of those in `training`.
      extend: the last phase may have more steps than when the run began.
      init_generator: where the generator's first values are: a run, a folder of Hugging Face's, a
        checkpoint of google's or Model Garden's; None for random ones. Optimizer and step are
        fresh.
      init_discriminator: likewise.
      init_shared: `generator` or `discriminator`: whose values count where the two networks share
        variables and the files differ; None for an error.
      dry_run: check everything, build the model, and stop before the first step.
      configuration_text: the recipe as it was resolved, written as `config.gin`.

    Returns:
      The last held-out metrics, named `held_out/...`; empty without any.
    """
    from official_nlp import data as text_data
    from official_nlp.reference_quirks import ReferenceQuirks
    from official_nlp.tasks import ElectraPretraining, GeneratorMonitor
    from official_nlp.training import distribution, loop
    from official_nlp.training.run_folder import RunFolder

    console = printing.console()
    if original:
        training = dataclasses.replace(training, reference_quirks=ReferenceQuirks.original())
    torn = text_data.CorruptRecords(training.corrupt_records)
    folder = text_data.open_folder(data, vocabulary, torn=torn)
    others = {
        p.data: text_data.open_folder(p.data, vocabulary, torn=torn) for p in phases if p.data
    }
    objective = ElectraPretraining(
        task,
        folder,
        seed=training.seed,
        phase_data=others,
        reference_quirks=training.reference_quirks,
        recompute=training.recompute,
    )
    phases = _in_steps(phases, epochs, {None: folder, **others}, console)
    _preflight(objective, phases, training, {None: folder, **others}, dry_run, console)
    references = _ngram_baselines(folder, console)
    fixed = {"task": objective.config.to_dict(), "data": _data_hash(folder)}
    # By content, not by name: a data folder may move.
    fixed["phase_data"] = [_data_hash(others[p.data]) if p.data else None for p in phases]
    run = RunFolder(model_dir)
    run.require_same(loop.fixed_fields(phases, training, fixed), extend)
    first = _first_values(
        {"generator": init_generator, "discriminator": init_discriminator},
        init_shared,
        objective,
        run,
        console,
    )
    if dry_run:
        model = objective.build()
        if first:
            first.assign_to(model, console.print)
        _print_built(model, console)
        return {}
    if distribution.is_chief(distribution.create_strategy(training.strategy)):
        _write_beginning(pathlib.Path(model_dir), objective, configuration_text)
    before = torn.rows
    try:
        metrics = loop.train(
            objective,
            phases,
            training,
            model_dir,
            fixed=fixed,
            references=references,
            console=console,
            extend=extend,
            corrupt_rows=(lambda: torn.rows - before) if torn.skip else None,
            monitor=GeneratorMonitor(),
            initialize=first and (lambda model: {"initial": first.assign_to(model, console.print)}),
            beginning={"data": _described(folder), "initial": first.describe() if first else {}},
        )
    finally:
        if torn.describe():
            console.print(torn.describe(), markup=False)
    printing.print_metrics(metrics, console)
    return metrics


def _in_steps(phases, epochs, folders, console) -> tuple:
    """Returns the phases with steps in place of epochs, and says what became of them."""
    if epochs is not None:
        if len(phases) > 1:
            raise InputError(
                f"EPOCHS={epochs} says nothing of {len(phases)} phases: set `epochs` of each phase "
                "in a recipe of your own, or the steps"
            )
        phases = [dataclasses.replace(phases[0], steps=None, epochs=epochs)]
    result = []
    for number, phase in enumerate(phases, start=1):
        rows = folders[phase.data].count("train")
        result.append(phase.in_steps(rows))
        if phase.epochs is not None:
            console.print(
                f"phase {number}: {phase.epochs:g} epochs of {rows:,} examples in batches of "
                f"{phase.batch_size} are {result[-1].steps:,} steps"
            )
    return tuple(result)


def _preflight(objective, phases, training, folders, dry_run, console):
    """Prints what is known before the first step; raises `InputError` for what cannot be."""
    from official_nlp.tasks.pretraining import preflight

    facts = {
        name: preflight.Data(
            examples=folder.count("train"),
            held_out=folder.count("held_out"),
            shards=len(folder.index.splits.get("train", [])),
            longest_row=folder.index.longest_row,
            largest_id=folder.index.largest_id,
            vocabulary=folder.tokenizer.vocab_size,
        )
        for name, folder in folders.items()
    }
    devices = _devices(training.strategy, dry_run)
    found = preflight.inspect(objective.config, phases, training, facts, devices)
    _print_findings(found, console)
    if found.errors:
        raise InputError("; ".join(found.errors))


def _devices(strategy, dry_run):
    """Returns what preflight wants to know; a dry run may be made where the devices are not."""
    from official_nlp.tasks.pretraining.preflight import Devices
    from official_nlp.training import distribution

    distribution.require_known(strategy)
    try:
        replicas, hosts = distribution.replicas_and_hosts(strategy)
    except InputError as error:
        if not dry_run:
            raise
        return Devices(strategy, absent=str(error))
    return Devices(strategy, replicas, hosts, _own_memory())


def _own_memory() -> int | None:
    """Returns the bytes of this machine's memory, or None where the model lies elsewhere."""
    import tensorflow as tf

    if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _ngram_baselines(folder, console) -> dict:
    """Prints what is reached on the held-out text without a network; returns it for the curves."""
    from official_nlp import data as text_data

    if not folder.count("held_out"):
        return {}
    found = text_data.measure_ngram_baselines(folder)
    console.print(
        "held-out cross-entropy in nats a token, without a network: "
        f"unigram {found.unigram:.2f}, bigram {found.left_bigram:.2f}, two-sided bigram "
        f"{found.two_sided_bigram:.2f}; always the most frequent token is right in "
        f"{found.most_frequent_accuracy:.1%}"
    )
    return {
        "unigram loss": found.unigram,
        "bigram loss": found.left_bigram,
        "two-sided bigram loss": found.two_sided_bigram,
    }


def _write_beginning(run: pathlib.Path, objective, configuration_text):
    """Writes what other verbs need to rebuild the model, once, when a run begins."""
    if (run / "run.json").exists():
        return
    if (run / "index.json").exists():
        raise InputError(f"MODEL_DIR={run} is a data folder; give a folder for the run")
    try:
        for name in ("generator", "discriminator"):
            (run / name).mkdir(parents=True, exist_ok=True)
            config = getattr(objective.config, name)
            (run / name / "config.json").write_text(config.to_json(), encoding="utf-8")
        objective.data.tokenizer.save_pretrained(run / "tokenizer")
        if configuration_text:
            (run / "config.gin").write_text(configuration_text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write the run folder {run}: {error.strerror}; give another MODEL_DIR"
        ) from error


def _first_values(paths, shared_from, objective, run, console):
    """Returns the `WarmStart` of a run that has no checkpoint yet, None for random values."""
    from official_nlp.interchange import warm_start

    given = [name for name, path in paths.items() if path is not None]
    if run.has_checkpoint:
        if given:
            settings = " and ".join(warm_start.SETTINGS[name] for name in given)
            console.print(f"not looked at: {settings}, as the run goes on from its own checkpoint")
        return None
    first = None
    if given or shared_from is not None:
        networks = warm_start.read(paths)
        first = warm_start.WarmStart(
            networks, objective.config, objective.data.tokenizer, shared_from
        )
        for note in first.notes:
            console.print(note)
    _require_same_beginning(run, first)
    return first


def _require_same_beginning(run, first):
    """Refuses to begin anew, with other values, a run that was stopped before a checkpoint."""
    if not run.description.exists():
        return
    old = run.describe().get("beginning", {}).get("initial", {})
    new = first.describe() if first else {}
    if {n: x["sha256"] for n, x in old.items()} != {n: x["sha256"] for n, x in new.items()}:
        said = [f"INIT_{name.upper()}={x['path']}" for name, x in old.items()]
        raise InputError(
            f"{run.path} has no checkpoint yet, and was begun with {' '.join(said) or 'no INIT_'}: "
            "give the same files, or another MODEL_DIR"
        )


def _described(folder) -> dict:
    """Returns what `run.json` says of the data, for people: what counts is its hash."""
    settings = folder.index.settings
    known = {name: settings[name] for name in ("documents", "words") if name in settings}
    return {
        "name": pathlib.Path(folder.path).resolve().name,
        "train": folder.count("train"),
        "held_out": folder.count("held_out"),
        "length": folder.index.longest_row,
        **known,
    }


def _data_hash(folder) -> str:
    """Returns a hash of the data's index and counts, which differ where the examples do."""
    digest = hashlib.sha256(folder.tokenizer.vocab_hash.encode())
    digest.update(repr(dataclasses.asdict(folder.index)).encode())
    digest.update(folder.unigram_counts().tobytes())
    return digest.hexdigest()


def _print_findings(found, console):
    """Prints the `Findings` of preflight; its errors are the caller's to raise."""
    for line in found.lines:
        console.print(line)
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow")


def _print_built(model, console):
    """Prints what a dry run built."""
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    console.print(f"built {count:,} parameters; everything fits; nothing was trained or written")
