"""Names of columns that say what a column holds, as tables of tasks use them."""

# Names are compared in lower case, with underscores for spaces and hyphens.
# The first and the second text of a pair.
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("#1_string", "#2_string"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
)
# Single texts. A name of an earlier group is preferred to one of a later group.
TEXTS = (
    ("text", "sentence"),
    (
        *("review", "content", "body", "comment", "tweet", "message", "document", "article"),
        *("abstract", "description", "utterance", "passage", "sms", "email", "post", "paragraph"),
        *("review_text", "review_body", "comment_text", "tweet_text"),
    ),
    ("question", "query", "title", "headline", "subject", "summary", "premise", "input"),
)
LABELS = (
    ("label", "labels", "gold_label", "target", "class"),
    (
        *("category", "score", "stars", "rating", "sentiment", "quality", "is_duplicate"),
        *("similarity", "polarity", "emotion", "intent", "topic", "relatedness_score"),
        *("categories", "tags", "airline_sentiment", "star_rating", "coarse_label", "toxic"),
    ),
)
# Columns that identify a row. They are no text, whatever they hold.
IDENTIFIERS = frozenset(
    {
        *("id", "ids", "idx", "index", "old_index", "guid", "uid", "uuid", "key", "pairid"),
        *("promptid", "qid", "qid1", "qid2", "#1_id", "#2_id", "tid1", "tid2", "pair_id", "url"),
        *("row", "number", "filename", "file", "date", "time", "timestamp", "split"),
    }
)
KNOWN = frozenset(
    {name for pair in PAIRS for name in pair}
    | {name for group in (*TEXTS, *LABELS) for name in group}
    | IDENTIFIERS
)


def normalized(name: str) -> str:
    """Return the form of a column name in which names are compared."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")
