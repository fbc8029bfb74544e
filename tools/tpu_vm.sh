#!/usr/bin/env bash
# Trains on a Cloud TPU VM, and continues there when the machine was taken away.
#
#   bash tools/tpu_vm.sh NAME ZONE TYPE BUCKET RECIPE [SETTING=VALUE ...]
#   bash tools/tpu_vm.sh electra-1 us-central2-b v4-8 gs://mine/electra small_tpu STEPS=200000
#
# BUCKET/data must be a data folder; the run is kept on the TPU's disk and copied to BUCKET/run
# every ten minutes and at the end, and fetched from there when the script is called again after a
# preemption. Needs gcloud, with a project and the right to make TPUs. Never run where this was
# written: read it before you pay for it.
set -euo pipefail

if [ $# -lt 5 ]; then
    sed -n '2,11p' "$0"
    exit 2
fi
name=$1 zone=$2 type=$3 bucket=$4 recipe=$5
shift 5
settings=$(printf '%q ' "$@")
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

on_tpu() {
    gcloud compute tpus tpu-vm ssh "$name" --zone "$zone" --command "$1"
}

if ! gcloud compute tpus tpu-vm describe "$name" --zone "$zone" >/dev/null 2>&1; then
    gcloud compute tpus tpu-vm create "$name" --zone "$zone" \
        --accelerator-type "$type" --version tpu-ubuntu2204-base
fi

archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
git -C "$repository" archive --format=tar.gz -o "$archive" HEAD
gcloud compute tpus tpu-vm scp "$archive" "$name:electra.tar.gz" --zone "$zone"

# tensorflow-tpu is TensorFlow with the TPU's library in it, and takes the place of the other.
on_tpu "set -e
    mkdir -p electra && tar -xzf electra.tar.gz -C electra
    [ -d venv ] || python3 -m venv venv
    venv/bin/pip install -q ./electra
    venv/bin/pip uninstall -q -y tensorflow
    venv/bin/pip install -q 'tensorflow-tpu>=2.20,<2.21' \
        -f https://storage.googleapis.com/libtpu-tf-releases/index.html
    gcloud storage rsync -r '$bucket/data' data
    mkdir -p run && (gcloud storage rsync -r '$bucket/run' run || true)"

on_tpu "set -e
    save() { gcloud storage rsync -r --delete-unmatched-destination-objects run '$bucket/run'; }
    (while sleep 600; do save; done) & saver=\$!
    trap 'kill \$saver; save' EXIT
    venv/bin/electra train $recipe DATA=data MODEL_DIR=run $settings"
