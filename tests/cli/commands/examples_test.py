"""`electra examples` writes a data folder."""

from official_nlp import data


def test_options_reach_the_data_folder(tmp_path, command, text_file, tokenizer_folder):
    to = tmp_path / "data"
    words = ["--length", 16, "--held-out", "30%", "--seed", 4, "--processes", 1, "--segments", 1]
    printed = command("examples", text_file, "--tokenizer", tokenizer_folder, "--to", to, *words)
    folder = data.open_folder(to)
    assert folder.index.length == 16
    assert folder.count("train") > folder.count("held_out") > 0
    assert (folder.index.settings["seed"], folder.index.settings["segments"]) == (4, 1)
    assert "documents" in printed
