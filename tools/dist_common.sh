# Sourced by dist_train.sh and dist_test.sh, which set PROCESSES.

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHON=${PYTHON:-python}
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}

if ! [[ $PROCESSES =~ ^[1-9][0-9]*$ ]]; then
    echo "PROCESSES must be a positive number, not '$PROCESSES'" >&2
    exit 2
fi
if [[ -z ${PORT:-} ]]; then
    PORT=29500
    # Two runs on one machine must not meet on the same port.
    if [[ $NNODES == 1 ]]; then
        PORT=$("$PYTHON" -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])')
    fi
fi
if [[ -z ${OMP_NUM_THREADS:-} ]]; then
    # torchrun's default is 1, which leaves k-means on the CPU crawling.
    CORES=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
    OMP_NUM_THREADS=$((CORES > PROCESSES ? CORES / PROCESSES : 1))
fi
export OMP_NUM_THREADS
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"

torchrun_exec() {
    local script=$1
    shift
    exec "$PYTHON" -m torch.distributed.run \
        --nnodes="$NNODES" \
        --node_rank="$NODE_RANK" \
        --nproc_per_node="$PROCESSES" \
        --master_addr="$MASTER_ADDR" \
        --master_port="$PORT" \
        "$TOOLS/$script" "$@"
}
