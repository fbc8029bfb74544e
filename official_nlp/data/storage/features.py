"""Names and types of what is stored in a record, and of what a training batch holds."""

# A record is a `tf.train.Example` as google-research/electra writes it: three lists of int64, of
# equal length, padded with zeros.
INPUT_IDS = "input_ids"
RECORD_MASK = "input_mask"
SEGMENT_IDS = "segment_ids"
RECORD_FEATURES = (INPUT_IDS, RECORD_MASK, SEGMENT_IDS)

# Where masks were chosen when the record was written; our records have none.
STATIC_MASKS = "masked_lm_positions"

# A batch, in tfnlp's names. B batch, L length, P predictions.
INPUT_WORD_IDS = "input_word_ids"  # int32 [B, L], with [MASK] in
INPUT_MASK = "input_mask"  # int32 [B, L], 1 at real tokens
INPUT_TYPE_IDS = "input_type_ids"  # int32 [B, L], 1 in the second segment
MASKED_LM_POSITIONS = "masked_lm_positions"  # int32 [B, P], 0 in unused slots
MASKED_LM_IDS = "masked_lm_ids"  # int32 [B, P], the original ids, 0 in unused slots
MASKED_LM_WEIGHTS = "masked_lm_weights"  # float32 [B, P], 1 in used slots
STREAM_POSITION = "stream_position"  # int64 [B], place in the endless stream of examples

TRAIN = "train"
HELD_OUT = "held_out"
