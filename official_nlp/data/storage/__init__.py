"""Data folders on disk: shards of TFRecords, their index, and corrupt records."""
