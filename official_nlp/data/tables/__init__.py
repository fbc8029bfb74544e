"""Read the data of tasks: tables, tagged sentences, questions with contexts, multiple choice.

Values are strings, and in JSON and Parquet also numbers, booleans, null and lists. No module here
imports TensorFlow, Keras or a tokenizer.
"""
