"""`electra convert` prints what it read and writes; tests/interchange tests the formats."""

import json


def test_a_run_becomes_a_pair_of_hugging_face_folders(tmp_path, command, run):
    printed = command("convert", run, "--to", tmp_path / "pair", "--checkpoint", 12)
    assert "step 12 of 14" in printed
    assert printed.endswith(f"wrote {tmp_path / 'pair'}")
    for name, title in ("generator", "ElectraForMaskedLM"), ("discriminator", "ElectraForPre"):
        assert f"{name}: {title}" in printed
        config = json.loads((tmp_path / "pair" / name / "config.json").read_text())
        assert config["architectures"][0].startswith(title)
        assert (tmp_path / "pair" / name / "model.safetensors").is_file()


def test_formats_are_options(tmp_path, command, golden):
    source = golden("google_tf1_fully_tied")
    words = ["--from", "google", "--config", source / "config.json", "--as", "google"]
    command("convert", source, "--to", tmp_path / "copy", *words)
    assert "step 1,234,567" in command("info", tmp_path / "copy")


def test_a_wrong_format_is_refused(tmp_path, command, run):
    refused = command.refused("convert", run, "--to", tmp_path / "x", "--from", "huggingface")
    assert str(run) in refused
    assert "--config applies to" in command.refused(
        "convert", run, "--to", tmp_path / "x", "--config", "c.json"
    )
    assert not list(tmp_path.iterdir())
