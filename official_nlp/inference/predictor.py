"""Apply a model of any head to texts."""

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.data.label_prompts import TEMPLATE
from official_nlp.errors import InputError
from official_nlp.inference import embedding_files, input_files, loading
from official_nlp.inference import inputs as forms
from official_nlp.inference.embedding import TextEmbedder, TextEncoder, TokenEmbeddings
from official_nlp.inference.exported import ExportedNetwork
from official_nlp.inference.fillings import BlankFiller
from official_nlp.inference.head import Head, Prediction
from official_nlp.inference.input_files import FileInputs, ReadOptions
from official_nlp.inference.multiple_choice import ChoiceRanker
from official_nlp.inference.pretrained_pair import PretrainedPair
from official_nlp.inference.question_answering import QuestionAnswerer
from official_nlp.inference.replaced_words import WordScorer
from official_nlp.inference.sequence_classification import Classification, SequenceClassifier
from official_nlp.inference.text_generation import TextGenerator
from official_nlp.inference.token_classification import TokenClassifier
from official_nlp.inference.zero_shot import ZeroShotClassifier
from official_nlp.modeling import models, networks
from official_nlp.modeling.models import network_contract
from official_nlp.ranges import shown
from official_nlp.tasks.finetuning import predicted_texts

# Heads by the class of the model, tested in this order. The two that a pair consists of come after
# these in `_head`: `ElectraForCausalLM` is a subclass of `ElectraForMaskedLM`.
_HEADS = (
    (models.ElectraForSequenceClassification, SequenceClassifier),
    (models.ElectraForTokenClassification, TokenClassifier),
    (models.ElectraForQuestionAnswering, QuestionAnswerer),
    (models.ElectraForJointQuestionAnswering, QuestionAnswerer),
    (models.ElectraForMultipleChoice, ChoiceRanker),
    (models.ElectraForCausalLM, TextGenerator),
    (networks.ElectraEncoder, TextEncoder),
)
_PAIR = {"generator", "discriminator"}


class Predictor:
    """Predict typed results for texts with one model and its tokenizer.

    The class of the model decides on the inputs and the results:

      `ElectraForSequenceClassification`: a text or a pair; `Classification`,
        `MultiLabelClassification` or `Regression`, see `SequenceClassifier`.
      `ElectraForTokenClassification`: a text, or a list of words; `TokenClassification`.
      `ElectraForQuestionAnswering`, `ElectraForJointQuestionAnswering`: a question and its
        context; `Answer`.
      `ElectraForMultipleChoice`: a text and its choices; `Choice`.
      `ElectraForPreTraining`: a text; `ReplacedWords`. If it was fine-tuned on the words of
        labels, a text or a pair; `Classification`.
      `ElectraForMaskedLM`: a text with blanks, [MASK] or ___; `Fillings`.
      `ElectraPretrainer`, or generator and discriminator: a text; `Fillings` if it has a blank,
        else `ReplacedWords`.
      `ElectraForCausalLM`: a text; `GeneratedText`.
      `ElectraEncoder`: a text or a pair; `Embedding`.

    Besides, `embed` returns vectors of texts from the encoder of any of these, and `zero_shot`
    classifies texts by the discriminator without training.

    Every result has `to_dict()` and `to_json()`. A result does not depend on the other inputs,
    their order or `batch_size`.

    Args:
      model: one of these models; for a pair also a dict with the keys `generator` and
        `discriminator`.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included; None for the
        smaller of `max_position_embeddings` and the tokenizer's `model_max_length`.
      batch_size: largest number of sequences in a batch.

    Attributes:
      model: the model, or the dict of a pair.
      tokenizer: the tokenizer.
      length: the largest number of tokens.

    Raises:
      InputError: the model is none of these, its vocabulary is not the tokenizer's, or `length`
        or `batch_size` is out of range.

    Example:
      predictor = Predictor.from_pretrained("runs/sst2/model")
      for result in predictor(["A moving film.", "Two hours too long."]):
        print(result.label, result.score)
    """

    def __init__(
        self,
        model: Any,
        tokenizer: ElectraTokenizer,
        length: int | None = None,
        batch_size: int = 64,
    ):
        # The name of a model that is not part of a pair is "", as in `loading.LoadedModel`.
        parts = dict(model) if isinstance(model, Mapping) else {"": model}
        configs = [config for part in parts.values() for config in _configs(part)]
        for config in configs:
            loading.check_vocabulary(tokenizer, config)
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size!r}")
        self.model = model
        self.tokenizer = tokenizer
        self.length = _checked_length(length, tokenizer, configs)
        self._parts = parts
        self._batch_size = batch_size
        self._head = _head(parts, tokenizer, self.length, batch_size)

    @classmethod
    def from_pretrained(
        cls,
        path: str | os.PathLike,
        length: int | None = None,
        batch_size: int = 64,
        checkpoint: int | str | None = None,
    ) -> "Predictor":
        """Load model and tokenizer from any source.

        Args:
          path: a run folder; a Hugging Face folder of any ELECTRA model; a folder with
            `generator/` and `discriminator/`; a google-research or Model Garden checkpoint with
            its vocabulary beside it; or an exported folder, of which the newest version is loaded.
          length: as in the constructor; for a run, None means the longest sequence in training.
          batch_size: as in the constructor.
          checkpoint: checkpoint of a run: `newest` (the default), `best` or the number of a step.

        Raises:
          InputError: the path cannot be read, has no tokenizer, or its weights lack those of the
            model's head.
        """
        loaded = loading.load(path, checkpoint)
        parts = loaded.networks
        model = parts if len(parts) > 1 else next(iter(parts.values()))
        return cls(model, loaded.tokenizer, loaded.length if length is None else length, batch_size)

    @property
    def expects(self) -> str:
        """Description of a valid input that completes the sentence "the input must be ..."."""
        return self._head.expects

    @property
    def head(self) -> Head:
        """The part that parses inputs and predicts."""
        return self._head

    @property
    def parts(self) -> Mapping[str, Any]:
        """The models by the name of their part, "" for one that is not part of a pair."""
        return self._parts

    @property
    def classifies(self) -> bool:
        """Whether a result is a label, several labels, a number or a choice."""
        return isinstance(self._head, (SequenceClassifier, ChoiceRanker, ZeroShotClassifier))

    @property
    def has_value_range(self) -> bool:
        """Whether predicted numbers are of a limited range, such as 0 to 5."""
        return isinstance(self._head, SequenceClassifier) and self._head.value_range is not None

    def read_file(
        self,
        path: str | os.PathLike,
        text: str | None = None,
        text_pair: str | None = None,
        as_texts: bool = False,
        format: str | None = None,
        separator: str | None = None,
        header: bool | None = None,
        skip_broken_rows: bool = False,
    ) -> FileInputs:
        """Read the inputs of a table or another file of a task, in the form that this model takes.

        Args:
          path: TSV, CSV, JSON lines or Parquet; for question answering also JSON in the format of
            SQuAD, for multiple choice the files on which it is trained, for token classification
            also CoNLL. Text formats may be `.gz`.
          text, text_pair: columns of a table; None for those of the training file if the model
            records them and the table has them, and otherwise to find them by name or content.
          as_texts: read texts or pairs of texts, for `embed` and `zero_shot`.
          format: "tsv", "csv", "jsonl", "parquet" or "conll"; None to tell it by the name.
          separator: character between the fields of a CSV file, None to infer it.
          header: whether the first row of a TSV or CSV file names the columns, None to infer it.
          skip_broken_rows: leave out rows with another number of fields than the first one, and
            count them in the notes. Otherwise they are refused.

        Raises:
          InputError: the file cannot be read, is larger than 256 MiB, or holds no inputs for this
            model; names file and line.
        """
        extra = next(
            (config.extra for part in self._parts.values() for config in _configs(part)), {}
        )
        options = ReadOptions(
            text,
            text_pair,
            trained=predicted_texts.fitted_value(extra, predicted_texts.COLUMNS, {}),
            token_column=predicted_texts.fitted_value(extra, predicted_texts.TOKEN_COLUMN, 0),
            format=format,
            separator=separator,
            header=header,
            skip_broken_rows=skip_broken_rows,
        )
        return input_files.read(path, forms.TEXT_OR_PAIR if as_texts else self.expects, options)

    @property
    def word_scorer(self) -> WordScorer | None:
        """The discriminator's part; None if the model has no discriminator that judges words."""
        head = self._head.scorer if isinstance(self._head, PretrainedPair) else self._head
        return head if isinstance(head, WordScorer) else None

    @property
    def blank_filler(self) -> BlankFiller | None:
        """The generator's part; None if the model has no generator."""
        head = self._head.filler if isinstance(self._head, PretrainedPair) else self._head
        return head if isinstance(head, BlankFiller) else None

    def __call__(self, inputs: Any, **options: Any) -> list[Prediction]:
        """Return a result for each input, in order.

        Args:
          inputs: a list or another iterable of inputs; a single text or dict counts as a list of
            one.
          **options: keyword arguments of the head's `predict`: `top` for blanks, `threshold` for
            multi-label classification, `stride`, `max_question_length`, `max_answer_length`,
            `null_threshold` for question answering, `max_new_tokens`, `do_sample`,
            `temperature`, `top_k`, `seed` for a decoder.

        Raises:
          InputError: an input has another form than this model expects, or cannot be processed;
            an option is unknown or out of range.
        """
        known = _option_names(self._head)
        for name in options:
            if name not in known:
                raise InputError(
                    f"{name} is no option of this model; its options are: "
                    f"{', '.join(known) or 'none'}"
                )
        parsed = _parsed(inputs, self._head.parse, self.expects)
        return list(self._head.predict(parsed, **options))

    # === Uses of the discriminator ===

    def zero_shot(
        self,
        texts: Any,
        labels: Sequence[str] | Mapping[str, str],
        template: str = TEMPLATE,
    ) -> list[Classification]:
        """Classify texts without training: the label that fits best into a template wins.

        The discriminator scores the word of each label in the filled template by the probability
        that it is original, see `ZeroShotClassifier`.

        Args:
          texts: texts; or pairs, if the template has `{text_pair}`.
          labels: names of the labels, which are also their words; or the word of each label by
            name, `{"positive": "great", "negative": "terrible"}`.
          template: text with `{text}` and `{label}`, such as "{text} It was {label}."

        Raises:
          InputError: the model has no discriminator, a text has another form, or labels or
            template do not fit.
        """
        scorer = self.word_scorer
        if isinstance(self._head, ZeroShotClassifier):
            scorer = self._head.scorer
        if scorer is None:
            raise InputError(
                "zero-shot classification needs a discriminator with its head, and this model has "
                "none; give a pre-trained pair or a discriminator"
            )
        parsed = _parsed(texts, forms.parse_text_or_pair, forms.TEXT_OR_PAIR)
        return ZeroShotClassifier(scorer, labels, template).predict(parsed)

    # === Uses of the encoder ===

    def embed(self, texts: Any, pooling: str = "mean") -> np.ndarray | list[TokenEmbeddings]:
        """Return vectors of texts, from the encoder of any model; a pair's is the discriminator's.

        Args:
          texts: texts, or pairs of texts, in the forms of the inputs of a classifier.
          pooling: `cls`, the output of the last layer at [CLS]; `mean`, its mean over all tokens of
            the sequence; or `tokens`, the outputs of all tokens.

        Returns:
          For `cls` and `mean` float32 `[texts, hidden_size]`; for `tokens` a `TokenEmbeddings`
          each.

        Raises:
          InputError: a text has another form, `pooling` is none of these, or it is `cls` and the
            model a decoder, in which [CLS] sees no other token.
        """
        parsed = _parsed(texts, forms.parse_text_or_pair, forms.TEXT_OR_PAIR)
        return self._embedder.embed(parsed, pooling)

    def write_embeddings(self, texts: Any, path: str | os.PathLike, pooling: str = "mean") -> None:
        """Write what `embed` returns to a new file, with a part of it in memory.

        Args:
          texts: as `embed`.
          path: a `.npy` file for a float32 array `[texts, hidden_size]`; any other file has a JSON
            object per line, `{"embedding": [...]}` or `{"tokens": [...], "vectors": [[...], ...]}`.
            It is replaced as a whole.
          pooling: as `embed`; `tokens` cannot be written as `.npy`.

        Raises:
          InputError: as `embed`, or the format cannot hold the vectors.
          OSError: the file cannot be written; its old content is intact.
        """
        parsed = _parsed(texts, forms.parse_text_or_pair, forms.TEXT_OR_PAIR)
        embedding_files.write(self._embedder, parsed, pooling, path)

    @functools.cached_property
    def _embedder(self) -> TextEmbedder:
        return _embedder(self._parts, self.tokenizer, self.length, self._batch_size)


def _parsed(inputs: Any, parse: Callable[[Any], Any], expects: str) -> list:
    """Return the inputs in the form that `parse` returns.

    Raises:
      InputError: they are no list, or `parse` returns None for one of them.
    """
    # A single pair would be ambiguous: a tuple of two texts is a list of two inputs.
    if isinstance(inputs, (str, Mapping)):
        inputs = [inputs]
    if not isinstance(inputs, Iterable):
        raise InputError(f"inputs must be a list of inputs, got {shown(inputs)}")
    parsed = []
    for number, value in enumerate(inputs, start=1):
        parsed.append(parse(value))
        if parsed[-1] is None:
            raise InputError(f"input {number} must be {expects}; got {shown(value)}")
    return parsed


def _head(
    parts: Mapping[str, Any], tokenizer: ElectraTokenizer, length: int, batch_size: int
) -> Head:
    """Return the head for a model, or for the two parts of a pair."""
    if len(parts) > 1:
        if parts.keys() != _PAIR:
            raise InputError(
                f"a dict of models must have the keys {', '.join(sorted(_PAIR))}, got "
                f"{', '.join(map(repr, parts))}"
            )
        return PretrainedPair(
            _scorer(parts["discriminator"], tokenizer, length, batch_size),
            _filler(parts["generator"], tokenizer, length, batch_size),
        )
    (model,) = parts.values()
    if isinstance(model, models.ElectraPretrainer):
        return PretrainedPair(
            _scorer(model, tokenizer, length, batch_size),
            _filler(model, tokenizer, length, batch_size),
        )
    for kind, head in _HEADS:
        if _is_a(model, kind):
            return head(model, tokenizer, length, batch_size)
    if _is_a(model, models.ElectraForPreTraining):
        scorer = _scorer(model, tokenizer, length, batch_size)
        is_classifier = predicted_texts.LABEL_WORDS in model.config.extra
        return ZeroShotClassifier.of_model(scorer, model.config) if is_classifier else scorer
    if _is_a(model, models.ElectraForMaskedLM):
        return _filler(model, tokenizer, length, batch_size)
    names = [kind.__name__ for kind, _ in _HEADS]
    names += ["ElectraForPreTraining", "ElectraForMaskedLM", "ElectraPretrainer"]
    raise InputError(f"model must be one of {', '.join(names)}, got {type(model).__name__}")


def _is_a(model: Any, kind: type) -> bool:
    """Return whether a model, or the model that was exported, is of a class."""
    return issubclass(getattr(model, "model_class", type(model)), kind)


def _scorer(model: Any, tokenizer: ElectraTokenizer, length: int, batch_size: int) -> WordScorer:
    if isinstance(model, models.ElectraPretrainer):
        return WordScorer(model.discriminate, tokenizer, length, batch_size)
    _require(model, models.ElectraForPreTraining, "discriminator")

    def discriminate(ids, mask):
        return model({"input_word_ids": ids, "input_mask": mask}, training=False)["logits"]

    return WordScorer(discriminate, tokenizer, length, batch_size)


def _filler(model: Any, tokenizer: ElectraTokenizer, length: int, batch_size: int) -> BlankFiller:
    if isinstance(model, models.ElectraPretrainer):
        return BlankFiller(
            lambda batch: model.generate(batch)["lm_outputs"],
            tokenizer,
            model.vocab_size,
            length,
            batch_size,
        )
    _require(model, models.ElectraForMaskedLM, "generator")
    return BlankFiller(
        lambda batch: model(batch, training=False)["logits"],
        tokenizer,
        model.config.vocab_size,
        length,
        batch_size,
    )


def _embedder(
    parts: Mapping[str, Any], tokenizer: ElectraTokenizer, length: int, batch_size: int
) -> TextEmbedder:
    """Return the embedder of a model, or of the discriminator of a pair."""
    model = parts["discriminator"] if len(parts) > 1 else next(iter(parts.values()))
    if isinstance(model, ExportedNetwork) and not _is_a(model, networks.ElectraEncoder):
        raise InputError(
            "vectors need the encoder of the model, and an exported model with a head has only its "
            "results; use the model that was exported, or export its encoder alone"
        )
    if isinstance(model, models.ElectraPretrainer):
        network = model.discriminator_network
    else:
        network = model if _is_a(model, networks.ElectraEncoder) else model.encoder
    return TextEmbedder(
        lambda batch: network_contract.run(network, batch, training=False),
        network_contract.checked_width(network, "discriminator_network"),
        tokenizer,
        length,
        batch_size,
        is_causal=any(config.is_decoder for config in _configs(network)),
    )


def _require(model: Any, kind: type, part: str) -> None:
    if not _is_a(model, kind):
        raise InputError(
            f"the {part} of a pair must be an {kind.__name__}, got {type(model).__name__}"
        )


def _configs(model: Any) -> list[networks.ElectraConfig]:
    """Return the configurations of a model's networks, as far as they are ElectraConfigs."""
    if isinstance(model, models.ElectraPretrainer):
        found = [model.generator_network, model.discriminator_network]
    else:
        found = [model]
    # A foreign network of a pre-trainer has no `config`, or one of another class.
    configs = [getattr(each, "config", None) for each in found]
    return [each for each in configs if isinstance(each, networks.ElectraConfig)]


def _checked_length(
    length: int | None, tokenizer: ElectraTokenizer, configs: list[networks.ElectraConfig]
) -> int:
    positions = min((config.max_position_embeddings for config in configs), default=None)
    if length is None:
        limits = [each for each in (positions, tokenizer.model_max_length) if each is not None]
        if not limits:
            raise InputError(
                "length must be the largest number of tokens in a sequence, got None: the "
                "networks of this model have no ElectraConfig to take it from"
            )
        length = int(min(limits))
    if length < 4 or (positions is not None and length > positions):
        most = "" if positions is None else f" and at most max_position_embeddings={positions}"
        raise InputError(f"length must be at least 4 tokens{most}, got {length!r}")
    return length


def _option_names(head: Head) -> list[str]:
    # The signature is the only declaration of the options: they are its keyword-only arguments.
    parameters = inspect.signature(head.predict).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
