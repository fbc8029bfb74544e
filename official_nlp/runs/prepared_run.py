"""Prepare a training run: open its data, make its task, check it, and read pretrained weights."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from official_nlp.errors import InputError, nearest

if TYPE_CHECKING:  # Importing these takes seconds.
    import rich.console

    from official_nlp.data import ElectraTokenizer
    from official_nlp.interchange.task_networks import TakesNetwork
    from official_nlp.interchange.warm_start import WarmStart
    from official_nlp.modeling.networks import ElectraConfig
    from official_nlp.training import Data, Findings, PhaseConfig, RunConfig, Task


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to start.

    Attributes:
      config: settings; a task that takes its network from a source has it.
      data: opened data by the path of a phase; that of the run under None.
      task: the task.
      phases: phases in steps.
      warm_start: pretrained weights of a run that has no checkpoint yet; None without any.
    """

    config: "RunConfig"
    data: "Mapping[str | None, Data]"
    task: "Task"
    phases: "list[PhaseConfig]"
    warm_start: "WarmStart | None"


def prepare(
    config: "RunConfig",
    dry_run: bool,
    console: "rich.console.Console",
    data: "Mapping[str | None, Data] | None" = None,
) -> PreparedRun:
    """Check a run and print what its settings imply.

    Args:
      config: settings of a recipe.
      dry_run: write nothing, and build the model.
      console: where to print.
      data: opened data by the path of a phase; None to open what the settings name.

    Raises:
      InputError: the run cannot start.
    """
    config = _with_quirks(config)
    _require_run_folder(config.model_dir)
    config = _with_network(config)
    data = _open_data(config, dry_run) if data is None else data
    phases = _in_steps(config, data, console)
    if config.hours is not None:
        config, phases = _for_hours(config, phases, data, dry_run, console)
    config, phases, task = _with_task(config, phases, data)
    _report(_preflight(config, phases, data, task, dry_run), console)
    _print_baselines(task, console)
    warm_start = _warm_start(config, phases, data, task, console)
    if dry_run:
        _print_built(task, warm_start, console)
    return PreparedRun(config, data, task, phases, warm_start)


def _with_quirks(config: "RunConfig") -> "RunConfig":
    from official_nlp.reference_quirks import ReferenceQuirks

    if not config.original:
        return config
    quirks = ReferenceQuirks.original()
    training = dataclasses.replace(config.training, reference_quirks=quirks)
    return dataclasses.replace(config, training=training)


def _require_run_folder(model_dir: str) -> None:
    from official_nlp.training.run_folder import RunFolder

    if pathlib.Path(model_dir, "index.json").exists():
        raise InputError(f"MODEL_DIR={model_dir} is a data folder; give a folder for the run")
    RunFolder(model_dir).require_own()


def _with_network(config: "RunConfig") -> "RunConfig":
    """Return the settings with the network of the sources, for a task that takes it from there.

    Raises:
      InputError: no source is given, it has no tokenizer, or its network does not fit the task.
    """
    from official_nlp.interchange import sources, warm_start
    from official_nlp.interchange.saved_run import load_run
    from official_nlp.interchange.task_networks import TakesNetwork
    from official_nlp.modeling.networks import ElectraConfig
    from official_nlp.training.run_folder import RunFolder

    task = config.task
    if not isinstance(task, TakesNetwork) or task.network is not None:
        return config
    # A run that exists has its network, and the source may be gone.
    if RunFolder(config.model_dir).has_checkpoint:
        saved = load_run(config.model_dir).task_config
        if not isinstance(saved, TakesNetwork) or saved.network is None or saved.tokenizer is None:
            raise InputError(
                f"{config.model_dir} is a run of {type(saved).__name__}, the recipe trains "
                f"{type(task).__name__}: give another MODEL_DIR"
            )
        return _for_network(config, task, saved.network, saved.tokenizer)
    source = config.network or config.init.get("")
    if source is None:
        raise InputError(
            "INIT=none needs NETWORK: a run or model whose sizes and tokenizer are used without "
            "its weights"
        )
    found = sources.open(source)
    weights = warm_start.choose(found, "", task.architecture)
    if weights is None:
        raise InputError(f"{source} holds no network: it is {found.title}")
    tokenizer = found.load_tokenizer()
    if tokenizer is None:
        raise InputError(
            f"{source} has no tokenizer: put its vocabulary, vocab.txt or spm.model, beside the "
            "weights"
        )
    return _for_network(config, task, ElectraConfig.from_dict(weights.config), tokenizer)


def _for_network(
    config: "RunConfig",
    task: "TakesNetwork",
    network: "ElectraConfig",
    tokenizer: "ElectraTokenizer",
) -> "RunConfig":
    return dataclasses.replace(config, task=task.with_network(network, tokenizer))


def _open_data(config: "RunConfig", dry_run: bool) -> "dict[str | None, Data]":
    """Return opened data by the path of a phase; that of the run under None."""
    open_data = config.task.inspect_data if dry_run else config.task.open_data
    paths: dict[str | None, str] = {None: config.data}
    paths.update({phase.data: phase.data for phase in config.phases if phase.data})
    policy = config.training.corrupt_records
    return {name: open_data(path, policy) for name, path in paths.items()}


def _in_steps(
    config: "RunConfig", data: "Mapping[str | None, Data]", console: "rich.console.Console"
) -> "list[PhaseConfig]":
    """Return the phases in steps; print how epochs were converted."""
    phases = list(config.phases)
    if config.epochs is not None:
        if len(phases) > 1:
            raise InputError(
                f"EPOCHS={config.epochs} is ambiguous with {len(phases)} phases: set `epochs` of "
                "each phase in a recipe of your own, or the steps"
            )
        phases = [dataclasses.replace(phases[0], steps=None, epochs=config.epochs)]
    result = []
    for number, phase in enumerate(phases, start=1):
        examples = data[phase.data].examples
        result.append(phase.in_steps(examples))
        if phase.epochs is not None:
            console.print(
                f"phase {number}: {phase.epochs:g} epochs of {examples:,} examples in batches of "
                f"{phase.batch_size} are {result[-1].steps:,} steps"
            )
    return result


def _with_task(
    config: "RunConfig", phases: "list[PhaseConfig]", data: "Mapping[str | None, Data]"
) -> "tuple[RunConfig, list[PhaseConfig], Task]":
    """Return the task of a run; its settings, in steps; and its phases with all loss weights."""
    from official_nlp.training import loop

    training = loop.resolved(config.training, phases, config.model_dir)
    task = config.task.make(data, training)
    phases = [phase.with_loss_weights(task.loss_weights) for phase in phases]
    return dataclasses.replace(config, training=training), phases, task


def _for_hours(
    config: "RunConfig",
    phases: "list[PhaseConfig]",
    data: "Mapping[str | None, Data]",
    dry_run: bool,
    console: "rich.console.Console",
) -> "tuple[RunConfig, list[PhaseConfig]]":
    """Return settings and phases of a run with as many steps as HOURS allows; print them.

    A run that has a checkpoint retains its steps, so that the same command continues it.
    """
    from official_nlp.training import time_budget
    from official_nlp.training.phase import total_steps
    from official_nlp.training.run_folder import RunFolder

    assert config.hours is not None
    folder = RunFolder(config.model_dir)
    earlier = folder.trained_steps()
    if earlier is not None and len(earlier) == len(phases):
        fitted = [dataclasses.replace(phase, steps=n) for phase, n in zip(phases, earlier)]
        console.print(f"HOURS={config.hours:g}: the run retains its {sum(earlier):,} steps")
    elif dry_run:
        console.print(
            f"HOURS={config.hours:g}: a dry run does not measure the speed, which determines the "
            "steps; what follows is for those of the recipe"
        )
        return config, phases
    else:
        resolved, whole, task = _with_task(config, phases, data)
        _require_none(_preflight(resolved, whole, data, task, dry_run).errors)
        console.print(f"HOURS={config.hours:g}: measuring the speed")
        speed = time_budget.measure(task, whole, resolved.training, config.hours)
        fitted = time_budget.fit(phases, config.training, config.hours, speed)
        console.print(time_budget.describe(config.hours, fitted, speed))
    began = folder.begun_with(total_steps(fitted))
    training = time_budget.with_warmup(config.training, total_steps(phases), began)
    return dataclasses.replace(config, training=training), fitted


def _preflight(
    config: "RunConfig",
    phases: "list[PhaseConfig]",
    data: "Mapping[str | None, Data]",
    task: "Task",
    dry_run: bool,
) -> "Findings":
    """Check the run, and estimate what it costs."""
    from official_nlp.training import distribution, preflight

    devices = preflight.find_devices(config.training.strategy, dry_run)
    # The checks of all tasks come first, then those of the objective.
    findings = preflight.check(phases, config.training, data, devices, task.metric_names())
    findings += config.task.preflight(data, phases, config.training, devices)
    # In a run on several hosts only the first writes the folder, and may have begun already.
    strategy = config.training.strategy
    if devices.hosts == 1 or distribution.is_chief(distribution.create_strategy(strategy)):
        size = findings.checkpoint_bytes
        findings += preflight.check_folder(config.model_dir, size, config.training)
    return findings


def _report(findings: "Findings", console: "rich.console.Console") -> None:
    """Print estimates and warnings; raise `InputError` if the run cannot start."""
    for line in findings.lines:
        console.print(line)
    for line in findings.warnings:
        console.print(f"warning: {line}", style="yellow")
    _require_none(findings.errors)


def _require_none(errors: Sequence[str]) -> None:
    if errors:  # They are reported together, so that one attempt shows them all.
        raise InputError("; ".join(errors))


def _print_baselines(task: "Task", console: "rich.console.Console") -> None:
    baselines = ", ".join(f"{name} {value:.4g}" for name, value in task.baselines().items())
    if baselines:
        console.print(f"baselines on the evaluation data, without a network: {baselines}")


def _warm_start(
    config: "RunConfig",
    phases: "list[PhaseConfig]",
    data: "Mapping[str | None, Data]",
    task: "Task",
    console: "rich.console.Console",
) -> "WarmStart | None":
    """Return the pretrained weights of a run that has no checkpoint yet; None without any.

    Raises:
      InputError: the folder holds another run, or the sources do not fit the task.
    """
    from official_nlp.interchange import warm_start
    from official_nlp.interchange.task_networks import HasNetworks
    from official_nlp.training import loop
    from official_nlp.training.run_folder import RunFolder

    _require_networks(config.init, task)
    folder = RunFolder(config.model_dir)
    # This check comes before any source is read, because the folder may hold another run.
    folder.require_same(loop.identity(task, phases, config.training, data), config.extend)
    sources = {network: path for network, path in config.init.items() if path is not None}
    if folder.has_checkpoint:
        if sources:
            settings = " and ".join(warm_start.setting(network) for network in sources)
            console.print(f"{settings} ignored: the run continues from its own checkpoint")
        return None
    found = None
    if sources or config.init_shared is not None:
        if not isinstance(task, HasNetworks):
            raise InputError(
                f"INIT settings are for tasks of ELECTRA networks; {type(task).__name__} has none"
            )
        found = warm_start.WarmStart(sources, task, task.load_tokenizer(), config.init_shared)
        for note in found.notes:
            console.print(note)
    _require_same_sources(folder, found)
    return found


def _require_networks(names: "Mapping[str, str | None]", task: "Task") -> None:
    """Refuse a source for a network that the task does not have."""
    from official_nlp.interchange.task_networks import HasNetworks

    known = list(task.networks()) if isinstance(task, HasNetworks) else []
    for name in names:
        if known and name not in known:
            raise InputError(
                f"RunConfig.init must name networks among {', '.join(known)}, named "
                f"{name!r}{nearest(name, known)}"
            )


def _require_same_sources(folder, found: "WarmStart | None") -> None:
    """Refuse to start again, with other weights, a run that was stopped before a checkpoint."""
    if not folder.description.exists():
        return
    old = folder.describe().get("origin", {}).get("warm_start", {})
    new = found.describe() if found else {}
    # Equal hashes are equal weights, wherever the file is now.
    if {n: x["sha256"] for n, x in old.items()} != {n: x["sha256"] for n, x in new.items()}:
        from official_nlp.interchange import warm_start

        settings = [f"{warm_start.setting(name)}={x['path']}" for name, x in old.items()]
        raise InputError(
            f"{folder.path} has no checkpoint yet, and was started with "
            f"{' '.join(settings) or 'no INIT_ setting'}: give the same sources, or another "
            "MODEL_DIR"
        )


def _print_built(
    task: "Task", warm_start: "WarmStart | None", console: "rich.console.Console"
) -> None:
    """Build the model, as a dry run does, and print its size."""
    model = task.build()
    if warm_start:
        warm_start.assign(model, console.print)
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    console.print(f"built {count:,} parameters; no errors found; nothing was trained or written")
