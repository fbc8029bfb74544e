import pytest

from official_nlp.cli import main


@pytest.fixture
def electra(folder, monkeypatch, capsys):
    """Run the command in the folder; return its exit code, standard output and error."""
    monkeypatch.chdir(folder)

    def call(*words):
        code = main.main([str(word) for word in words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call
