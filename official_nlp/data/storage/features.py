"""Names and types of the features of a stored record and of a training batch."""

# A record is a `tf.train.Example` in the format of google-research/electra: three lists of int64 of
# equal length, padded with zeros.
INPUT_IDS = "input_ids"
RECORD_MASK = "input_mask"
SEGMENT_IDS = "segment_ids"
RECORD_FEATURES = (INPUT_IDS, RECORD_MASK, SEGMENT_IDS)

# Present only in records that were masked when they were written, as for BERT; ours have none.
STATIC_MASKS = "masked_lm_positions"

# A batch, under the names of tfnlp. B batch size, L length, P predictions.
INPUT_WORD_IDS = "input_word_ids"  # int32 [B, L], after masking
INPUT_MASK = "input_mask"  # int32 [B, L], 1 at real tokens
INPUT_TYPE_IDS = "input_type_ids"  # int32 [B, L], 1 in the second segment
MASKED_LM_POSITIONS = "masked_lm_positions"  # int32 [B, P], 0 in unused slots
MASKED_LM_IDS = "masked_lm_ids"  # int32 [B, P], the original ids, 0 in unused slots
MASKED_LM_WEIGHTS = "masked_lm_weights"  # float32 [B, P], 1 in used slots
STREAM_POSITION = "stream_position"  # int64 [B], position in the endless stream of examples

TRAIN = "train"
HELD_OUT = "held_out"
