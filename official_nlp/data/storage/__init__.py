"""Store examples in data folders: TFRecord shards, their index, and the policy for corrupt ones."""
