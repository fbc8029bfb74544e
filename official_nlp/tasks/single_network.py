"""A task whose model is one ELECTRA network, for conversion and initialization by its names."""

from official_nlp.data import ElectraTokenizer
from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor


class SingleNetwork:
    """What `interchange.task_networks.HasNetworks` asks of a task, for a model of one network.

    Attributes:
      model_class: class of the model.
      network: configuration of the network, complete with its vocabulary size.
      tokenizer: tokenizer of the network.
      sharing: None, as there is no second network.
    """

    model_class: type[ElectraFor]
    network: ElectraConfig
    tokenizer: ElectraTokenizer
    sharing: str | None = None

    @property
    def architectures(self) -> dict[str, str]:
        """Name of the transformers class of the network."""
        return {"": self.model_class.hugging_face_class}

    def networks(self) -> dict[str, ElectraConfig]:
        """Return the configuration of the network."""
        return {"": self.network}

    def load_tokenizer(self) -> ElectraTokenizer:
        """Return the tokenizer of the network."""
        return self.tokenizer

    def named_tensors(self, model: ElectraFor) -> dict[str, list[NamedTensor]]:
        """Return the tensors of the model under Hugging Face's names."""
        return {"": model.named_tensors()}

    def is_shared(self, tensor_name: str) -> bool:
        """Return False: there is no second network."""
        return False
