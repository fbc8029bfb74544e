import numpy as np

from official_nlp.tasks.finetuning import run_page

LABELS = ["<good>", "bad"]
TEXTS = ["a <b>bold</b> film", "dull", "fine"]
TARGETS = np.array([0, 1, 0])
PROBABILITIES = np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]])


def test_a_page_escapes_all_outside_text(tmp_path):
    sections = [
        run_page.confusion_matrix(LABELS, TARGETS, PROBABILITIES),
        run_page.worst_errors(LABELS, TEXTS, TARGETS, PROBABILITIES),
    ]
    metrics = {"<dev>": {"accuracy": 2 / 3}}
    page = run_page.page("<title>", metrics, tmp_path / "none.png", {"<dev>": sections})
    assert "<b>" not in page
    assert "<good>" not in page
    assert "&lt;title&gt;" in page
    assert "0.6667" in page
    assert "<img" not in page


def test_a_confusion_matrix_counts_predictions_by_true_label():
    body = run_page.confusion_matrix(LABELS, TARGETS, PROBABILITIES).body
    rows = [row.split("<td>")[1:] for row in body.removesuffix("</table>").split("\n")[1:]]
    assert rows == [["&lt;good&gt;", "1", "1"], ["bad", "0", "1"]]


def test_the_worst_errors_come_first():
    probabilities = np.array([[0.1, 0.9], [0.6, 0.4], [0.7, 0.3]])
    body = run_page.worst_errors(LABELS, TEXTS, TARGETS, probabilities).body
    assert body.index("0.900") < body.index("0.600")
    assert "fine" not in body


def test_calibration_compares_confidence_with_accuracy():
    body = run_page.calibration(TARGETS, PROBABILITIES).body
    assert "<td>0.7 to 0.8<td>1<td>0.700<td>1.000" in body
    assert "<td>0.9 to 1.0<td>1<td>0.900<td>0.000" in body


def test_a_table_of_labels_has_their_precision_and_recall():
    targets, predicted = np.array([[1, 0], [1, 1]]), np.array([[True, True], [False, True]])
    body = run_page.label_table(LABELS, targets, predicted).body
    assert "<td>&lt;good&gt;<td>2<td>1.000<td>0.500<td>0.667" in body
    assert "<td>bad<td>1<td>0.500<td>1.000<td>0.667" in body
