"""Keras layers, one class per file."""

from official_nlp.modeling.layers.classification_head import ClassificationHead
from official_nlp.modeling.layers.disentangled_embeddings import DisentangledEmbeddings
from official_nlp.modeling.layers.electra_embeddings import ElectraEmbeddings
from official_nlp.modeling.layers.embedding_projection import EmbeddingProjection
from official_nlp.modeling.layers.gated_feedforward import GatedFeedforward
from official_nlp.modeling.layers.joint_span_head import JointSpanHead
from official_nlp.modeling.layers.masked_lm import MaskedLM
from official_nlp.modeling.layers.multi_cls_heads import MultiClsHeads
from official_nlp.modeling.layers.multi_head_attention import MultiHeadAttention
from official_nlp.modeling.layers.multiple_choice_head import MultipleChoiceHead
from official_nlp.modeling.layers.on_device_embedding import OnDeviceEmbedding
from official_nlp.modeling.layers.position_embedding import PositionEmbedding
from official_nlp.modeling.layers.relative_key_embedding import RelativeKeyEmbedding
from official_nlp.modeling.layers.self_attention_mask import SelfAttentionMask
from official_nlp.modeling.layers.span_head import SpanHead
from official_nlp.modeling.layers.token_classification_head import TokenClassificationHead
from official_nlp.modeling.layers.transformer_encoder_block import TransformerEncoderBlock

__all__ = [
    "ClassificationHead",
    "DisentangledEmbeddings",
    "ElectraEmbeddings",
    "EmbeddingProjection",
    "GatedFeedforward",
    "JointSpanHead",
    "MaskedLM",
    "MultiClsHeads",
    "MultiHeadAttention",
    "MultipleChoiceHead",
    "OnDeviceEmbedding",
    "PositionEmbedding",
    "RelativeKeyEmbedding",
    "SelfAttentionMask",
    "SpanHead",
    "TokenClassificationHead",
    "TransformerEncoderBlock",
]
