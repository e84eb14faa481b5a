#!/usr/bin/env bash
# Train on several GPUs with torchrun: tools/dist_train.sh CONFIG GPUS [options of train.py]
# For several machines, run it on each with NNODES, NODE_RANK and MASTER_ADDR set.
set -euo pipefail

if (($# < 2)); then
    echo "usage: [NNODES= NODE_RANK= MASTER_ADDR= PORT=] $0 CONFIG GPUS [options of train.py]" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
tools=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec python -m torch.distributed.run \
    --nnodes "${NNODES:-1}" \
    --node_rank "${NODE_RANK:-0}" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" \
    --master_port "${PORT:-29500}" \
    --nproc_per_node "$gpus" \
    "$tools/train.py" "$config" --launcher pytorch "$@"
