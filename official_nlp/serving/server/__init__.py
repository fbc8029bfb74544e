"""A server of exported models: `electra serve`.

`process.serve` is the entry. What reads and writes requests, merges and splits batches, and checks
limits knows no sockets and no TensorFlow:

    requests   refused  json_text  limits  tensors  rest  open_inference
    batches    rows  batching
    models     model_version (TensorFlow)  repository
    HTTP       monitoring  application  connections  process
"""
