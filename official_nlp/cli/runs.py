"""What the program can do: one function a verb. The table of contents.

Every function takes plain values and configuration objects by keyword, so that its signature says
what can be set; recipes bind `train` and `evaluate`, the command line calls the others.
"""

import dataclasses
import hashlib
import os
import pathlib

from official_nlp import data as text_data
from official_nlp.cli import printing
from official_nlp.errors import InputError
from official_nlp.reference_quirks import ReferenceQuirks

_VOCABULARIES = ("vocab.txt", "spm.model")


def vocab(*, texts, to, size=30522, lower_case=True, strip_accents=None, kind="wordpiece"):
    """Learns a vocabulary from text and writes a tokenizer folder.

    Args:
      texts: files, folders or patterns.
      to: the tokenizer folder, a new one.
      size: number of tokens.
      lower_case: whether the tokenizer lower-cases.
      strip_accents: whether it drops accents; None: as `lower_case`.
      kind: "wordpiece", "sentencepiece" or "sentencepiece-bpe".
    """
    files = text_data.find_files(texts)
    text_data.train_vocabulary(
        files, to, size=size, lower_case=lower_case, strip_accents=strip_accents, kind=kind
    )


def examples(
    *,
    texts,
    tokenizer,
    to,
    length=128,
    held_out=0.01,
    seed=0,
    processes=None,
    segments=2,
    original=False,
):
    """Cuts documents into examples and writes a data folder.

    Args:
      texts: files, folders or patterns.
      tokenizer: tokenizer folder or vocabulary file.
      to: the data folder, a new one.
      length: tokens in an example.
      held_out: share of the documents kept for evaluation.
      seed: of the cuts.
      processes: number of them; the bytes written do not depend on it.
      segments: 1 or 2 in an example.
      original: pack as google-research does, which drops what overflows a row.
    """
    text_data.build_examples(
        text_data.find_files(texts),
        tokenizer,
        to,
        length=length,
        held_out=held_out,
        seed=seed,
        processes=processes,
        segments=segments,
        original=original,
    )


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
    from official_nlp.tasks import ElectraPretraining, GeneratorMonitor
    from official_nlp.training import distribution, loop
    from official_nlp.training.run_folder import RunFolder

    console = printing.console()
    if original:
        training = dataclasses.replace(training, reference_quirks=ReferenceQuirks.original())
    torn = text_data.CorruptRecords(training.corrupt_records)
    folder = text_data.open_folder(data, vocabulary, corrupt_records=torn)
    others = {
        p.data: text_data.open_folder(p.data, vocabulary, corrupt_records=torn)
        for p in phases
        if p.data
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
        printing.print_built(model, console)
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


def evaluate(*, model_dir, data, dry_run=False, configuration_text="") -> dict[str, float]:
    """Measures a run's newest checkpoint on held-out text, as while it trained.

    Args:
      model_dir: the run folder.
      data: a data folder with a held-out part.
      dry_run: check that run and data are there and fit, and stop.
      configuration_text: not used; the run folder says all that is needed.

    Returns:
      The metrics, named as `train` returns them.
    """
    from official_nlp.tasks import ElectraPretraining
    from official_nlp.training import TrainingConfig, checkpoints, loop

    del configuration_text
    console = printing.console()
    run = _saved(model_dir)
    # Shards of others have no tokenizer beside them: the run's is the one they were trained with.
    has_own = (pathlib.Path(data) / "tokenizer").is_dir()
    folder = text_data.open_folder(data, None if has_own else pathlib.Path(model_dir) / "tokenizer")
    if folder.tokenizer.vocab_hash != run.tokenizer.vocab_hash:
        raise InputError(
            f"DATA={data} has another vocabulary than the run {model_dir}: give the data it was "
            "trained on, or examples built with the run's tokenizer folder"
        )
    if not folder.count("held_out"):
        raise InputError(f"DATA={data} has no held-out examples: build it with --held-out 1%")
    settings = run.fixed["training"]
    objective = ElectraPretraining(run.config, folder, seed=settings["seed"])
    if dry_run:
        newest = checkpoints.newest(pathlib.Path(model_dir) / "checkpoints")
        console.print(f"{newest} and {data} fit; nothing was measured")
        return {}
    strategy = _strategy_here(run.described["rounding"]["strategy"], console)
    training = TrainingConfig(seed=settings["seed"], strategy=strategy, policy=settings["policy"])
    metrics = loop.evaluate(objective, training, model_dir)
    metrics = {f"held_out/{name}": value for name, value in metrics.items()}
    printing.print_metrics(metrics, console)
    return metrics


def info(*, path):
    """Prints what a tokenizer, data or run folder holds.

    Args:
      path: the folder.
    """
    console = printing.console()
    place = pathlib.Path(path)
    if (place / "run.json").is_file():
        run = _saved(place)
        printing.print_run_folder(place, run.config, run.fixed, console)
    elif (place / "index.json").is_file():
        printing.print_data_folder(place, console)
    elif any((place / name).is_file() or place.name == name for name in _VOCABULARIES):
        printing.print_tokenizer_folder(place, console)
    else:
        what = "holds none of their files" if place.is_dir() else "is not there"
        raise InputError(
            f"{path} must be a run folder (run.json), a data folder (index.json) or a tokenizer "
            f"folder ({' or '.join(_VOCABULARIES)}); it {what}"
        )


def predict(*, run, texts=(), file=None, swap=None, html=None):
    """Scores the words of text by a run, fills blanks, and tests it on swapped words.

    Args:
      run: the run folder.
      texts: texts; [MASK] or ___ in one is a blank to fill.
      file: a text file, a text a line.
      swap: number of sentences of `file` in which to swap one word.
      html: a page to write.
    """
    from official_nlp.inference import html_page, word_swap_test

    texts = [*texts]
    content = _read(file) if file else ""
    if swap is not None and swap < 1:
        raise InputError(f"--word-swaps must be a number of sentences, at least 1, was {swap}")
    if swap and not file:
        raise InputError("--word-swaps needs --file, text that the run was not trained on")
    if swap is None:
        texts += [line for line in content.splitlines() if line.strip()]
    if not texts and not swap:
        raise InputError("predict needs a TEXT, or --file with some")
    console = printing.console(highlight=False)
    scorer = _scorer(run)
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
        printing.print_word_swaps(test, console)
    printing.print_fillings(fillings, console)
    if html:
        title = f"Words scored by {run}"
        _write(html, html_page.page(title, test, scored, fillings))
        console.print(f"wrote {html}")


def convert(*, source, to, kind=None, form="huggingface", config=None, checkpoint=None):
    """Brings a checkpoint into another form, and prints what became of it.

    Args:
      source: a checkpoint, a folder of Hugging Face's, or a run folder.
      to: the folder to write, a new one.
      kind: one of `sources.KINDS`; None to look.
      form: one of `convert.FORMS`.
      config: google's JSON file for a checkpoint of google's.
      checkpoint: of a run: "newest", "best" or the number of a step; None for the newest.
    """
    from official_nlp.interchange import convert, sources

    console = printing.console(highlight=False)
    found = sources.read(source, kind or sources.guess(source), config, checkpoint)
    printing.print_source(found, console)
    for line in convert.write(found, to, form):
        console.print(line)
    console.print(f"wrote {to}")


# === Training ===


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
    printing.print_findings(found, console)
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


# === Reading a run ===


def _strategy_here(name, console) -> str:
    """Returns the strategy that a run has, or `one_device` where its devices are not; says so."""
    from official_nlp.training import distribution

    try:
        distribution.create_strategy(name)
    except InputError as error:
        console.print(f"measured on one device, not as the run was trained: {error}")
        return "one_device"
    return name


def _saved(run):
    from official_nlp.interchange.saved_run import SavedRun

    return SavedRun(run)


def _scorer(run):
    from official_nlp.inference import WordScorer

    run = _saved(run)
    length = max(phase["length"] for phase in run.fixed["phases"])
    return WordScorer(run.model, run.tokenizer, length)


# === Words ===


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


# === Files ===


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
