#!/usr/bin/env bash
# Test on several GPUs with torchrun: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py]
# For several machines, run it on each with NNODES, NODE_RANK and MASTER_ADDR set.
set -euo pipefail

if (($# < 3)); then
    echo "usage: [NNODES= NODE_RANK= MASTER_ADDR= PORT=]" \
        "$0 CONFIG CHECKPOINT GPUS [options of test.py]" >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
tools=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec python -m torch.distributed.run \
    --nnodes "${NNODES:-1}" \
    --node_rank "${NODE_RANK:-0}" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" \
    --master_port "${PORT:-29500}" \
    --nproc_per_node "$gpus" \
    "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
