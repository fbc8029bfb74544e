#!/usr/bin/env bash
# From nothing to a trained ELECTRA whose guesses can be looked at, on a laptop in about ten minutes:
# an environment, the English text that every Python carries, a vocabulary, examples, five minutes
# of training on two cores, and held-out sentences in which one word was exchanged.
#
#   bash tools/demo.sh            everything goes below demo/; a second call reuses what is there
#   SEED=1 bash tools/demo.sh     another training run beside the first
#   VENV=... PYTHON=...           as tools/venv.sh says
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"

SEED=${SEED:-0}
OUT=demo
RUN=$OUT/run-$SEED

step() { printf '\n== %s\n' "$*"; }

step "Text: the documentation inside this Python"
if [ -f "$OUT/text.txt" ]; then
    echo "$OUT/text.txt is there"
else
    python tools/gather_python_text.py "$OUT/text.txt"
fi

step "Vocabulary: 2048 pieces of words"
if [ -f "$OUT/tokenizer/vocab.txt" ]; then
    echo "$OUT/tokenizer is there"
else
    electra vocab "$OUT/text.txt" --to "$OUT/tokenizer" --size 2048
fi

step "Examples: 32 tokens each, 10 % of the documents held out"
if [ -f "$OUT/data/index.json" ]; then
    echo "$OUT/data is there"
else
    electra examples "$OUT/text.txt" --tokenizer "$OUT/tokenizer" --to "$OUT/data" \
        --length 32 --held-out 10%
fi

step "Training: at most five minutes on two cores; goes on where it was stopped"
electra train demo DATA="$OUT/data" MODEL_DIR="$RUN" SEED="$SEED"

step "Held-out sentences in which one word was exchanged"
electra predict "$RUN" --file "$OUT/data/held_out.txt" --word-swaps 250 --html "$RUN/words.html"

step "Done"
cat <<END
The page       $RUN/words.html
The curves     $RUN/curves.png
Your own words $VENV/bin/electra predict $RUN "Return the [MASK] of the list."
END
