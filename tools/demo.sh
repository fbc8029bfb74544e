#!/usr/bin/env bash
# Train a tiny ELECTRA from nothing, on a laptop in about ten minutes: create an environment, extract
# the English text of this Python installation, build a vocabulary and examples, train for five
# minutes on two cores, and score held-out sentences in which one word was swapped for another.
#
#   bash tools/demo.sh            writes to demo/; a second call reuses what exists
#   SEED=1 bash tools/demo.sh     another training run beside the first
#   VENV=... PYTHON=...           see tools/venv.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"

SEED=${SEED:-0}
OUT=demo
RUN=$OUT/run-$SEED

step() { printf '\n== %s\n' "$*"; }

step "Text: the documentation inside this Python"
if [ -f "$OUT/text.txt" ]; then
    echo "$OUT/text.txt exists"
else
    python tools/gather_python_text.py "$OUT/text.txt"
fi

step "Vocabulary: 2048 tokens"
if [ -f "$OUT/tokenizer/vocab.txt" ]; then
    echo "$OUT/tokenizer exists"
else
    electra vocab "$OUT/text.txt" --to "$OUT/tokenizer" --size 2048
fi

step "Examples: 32 tokens each, 10 % of the documents held out"
if [ -f "$OUT/data/index.json" ]; then
    echo "$OUT/data exists"
else
    electra examples "$OUT/text.txt" --tokenizer "$OUT/tokenizer" --to "$OUT/data" \
        --length 32 --held-out 10%
fi

step "Training: at most five minutes on two cores; continues a run that was stopped"
electra train demo DATA="$OUT/data" MODEL_DIR="$RUN" SEED="$SEED"

step "Held-out sentences in which one word was swapped for another"
electra predict "$RUN" --file "$OUT/data/held_out.txt" --word-swaps 250 --html "$RUN/words.html" --overwrite

step "Done"
cat <<END
The page       $RUN/words.html
The curves     $RUN/curves.png
Your own words $VENV/bin/electra predict $RUN "Return the [MASK] of the list."
END
