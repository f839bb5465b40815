#!/usr/bin/env bash
# Sets up an environment in which everything here runs; skips finished steps.
#
#   bash tools/setup_env.sh [dev] [detection] [export] [docs] [mutation]
#   source tools/setup_env.sh [dev] ...   # also sets PYTHON
#
# Uses the active virtual or conda environment, else .venv in this repository,
# which is created with $PYTHON (python3). There it installs the tested versions
# (requirements/constraints.txt). An active environment keeps the packages that
# are in the ranges of requirements/*.txt. mmcv-lite is installed only where
# there is no mmcv of any kind.
#
# STACK=onedl takes OpenMMLab's continuation in place of OpenMMLab, and
# .venv-onedl in place of .venv. An active environment keeps the one it has.

pauc_say() { printf '[setup] %s\n' "$*" >&2; }

pauc_runs() { "$1" -c 'import sys' >/dev/null 2>&1; }

# mmengine does not run on Python 3.14.
pauc_fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
        2>/dev/null
}

# Interpreter of the active environment, or nothing.
pauc_active_python() {
    local prefix
    for prefix in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}"; do
        if [[ -n $prefix ]] && pauc_runs "$prefix/bin/python"; then
            echo "$prefix/bin/python"
            return
        fi
    done
}

# Makes the folder $1 a virtual environment.
pauc_make_venv() {
    local venv=$1 base=${PYTHON:-}
    if [[ -z $base ]]; then
        for base in python3 python3.13 python3.12 python3.11 python3.10; do
            pauc_fits "$base" && break
        done
    fi
    if ! pauc_fits "$base"; then
        pauc_say "needs Python 3.10 to 3.13, and '$base' is not. Install one" \
            "and name it: PYTHON=/path/to/python3.11 bash $0"
        return 1
    fi
    if ! "$base" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        pauc_say "$base cannot make virtual environments. On Debian and" \
            "Ubuntu: apt install python3-venv (or python3.X-venv)"
        return 1
    fi
    pauc_say "making $venv with $("$base" --version)"
    if ! "$base" -m venv "$venv"; then
        rm -rf "$venv"
        return 1
    fi
}

# Writes the constraints that hold here: all, or only those of packages that
# are not there yet (an active environment keeps what it has).
pauc_constraints() {
    "$PYTHON" - "$1" "$2" <<'PY'
import re
import sys
from importlib import metadata

for line in open(sys.argv[1], encoding='utf-8'):
    name = re.match(r'[\w.-]+(?===)', line)
    if name and sys.argv[2] == 'keep':
        try:
            metadata.version(name.group())
            continue
        except metadata.PackageNotFoundError:
            pass
    sys.stdout.write(line)
PY
}

# Succeeds if any of the distributions is installed.
pauc_has() {
    "$PYTHON" - "$@" <<'PY'
import sys
from importlib import metadata

for name in sys.argv[1:]:
    try:
        metadata.version(name)
        sys.exit(0)
    except metadata.PackageNotFoundError:
        pass
sys.exit(1)
PY
}

# Sets STACK to what is installed, else to what was asked for.
pauc_stack() {
    local upstream=(mmengine mmengine-lite mmcv mmcv-lite mmcv-full mmpretrain
        mmdet)
    local onedl=(onedl-mmengine onedl-mmcv onedl-mmpretrain onedl-mmdetection)
    local found='' remove
    pauc_has "${upstream[@]}" && found=openmmlab
    if pauc_has "${onedl[@]}"; then
        if [[ -n $found ]]; then
            remove="$PYTHON -m pip uninstall -y ${upstream[*]} ${onedl[*]}"
            pauc_say 'OpenMMLab and its continuation (onedl-*) have the same' \
                "modules, and both are installed. Run: $remove"
            pauc_say 'and start again, with STACK=openmmlab or STACK=onedl'
            return 1
        fi
        found=onedl
    fi
    if [[ -n $found && -n ${STACK:-} && $found != "$STACK" ]]; then
        pauc_say "STACK=$STACK, but $PYTHON has $found: leave STACK out, or" \
            'leave this environment (deactivate) and start again'
        return 1
    fi
    STACK=${found:-${STACK:-openmmlab}}
}

# What a finished group depends on: its files, this repository, the interpreter.
pauc_state() {
    local files=("$REPO/requirements/constraints.txt"
        "$REPO/requirements/runtime.txt" "$REPO/requirements/$STACK.txt"
        "$REPO/requirements/$1.txt"
        "$REPO/setup.py" "$REPO/pyproject.toml" "$REPO/pauc_mm/version.py")
    { cat "${files[@]}"; "$PYTHON" -VV; echo "$REPO"; } | cksum
}

pauc_pip() {
    "$PYTHON" -m pip --disable-pip-version-check --no-input -qq "$@" && return
    pauc_say "failed: $PYTHON -m pip $*"
    return 1
}

pauc_install_runtime() {
    local limits=$1 files="$REPO/requirements"
    if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -m ensurepip --upgrade >/dev/null || return
    fi
    if ! "$PYTHON" -m pip --version 2>/dev/null |
        grep -Eq '^pip (2[2-9]|[3-9][0-9])\.'; then
        pauc_say 'updating pip'
        pauc_pip install --upgrade pip || return
    fi
    pauc_say 'installing torch and torchvision (large; some minutes)'
    pauc_pip install -c "$limits" 'torch>=2.1' 'torchvision>=0.16' || return
    if [[ $STACK == openmmlab ]] && ! pauc_has mmcv mmcv-lite mmcv-full; then
        pauc_say 'installing mmcv-lite'
        pauc_pip install -c "$limits" 'mmcv-lite>=2.0.1,<2.2' || return
    fi
    pauc_say 'installing the other requirements'
    local runtime=$PAUC_TMP/runtime.txt
    local unwanted='^$'
    # faiss-gpu has the same files as faiss-cpu.
    if pauc_has faiss-gpu faiss-gpu-cu12 faiss-gpu-cu11 faiss; then
        unwanted='^faiss-cpu'
    fi
    grep -hv "$unwanted" "$files/runtime.txt" "$files/$STACK.txt" >"$runtime"
    pauc_pip install -c "$limits" -r "$runtime" || return
    pauc_say 'installing pauc_mm (editable)'
    pauc_pip install --no-deps --no-build-isolation -e "$REPO"
}

pauc_setup() {
    if [[ ${1:-} == -h || ${1:-} == --help ]]; then
        sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        return
    fi
    REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    local policy=keep group active venv
    if [[ ! ${STACK:-openmmlab} =~ ^(openmmlab|onedl)$ ]]; then
        pauc_say "STACK=$STACK is neither openmmlab nor onedl"
        return 1
    fi
    active=$(pauc_active_python)
    if [[ -n $active ]]; then
        PYTHON=$active
    else
        policy=pin
        venv=$REPO/.venv
        [[ ${STACK:-} == onedl ]] && venv=$REPO/.venv-onedl
        if [[ ! -e $venv ]]; then
            pauc_make_venv "$venv" || return
        fi
        PYTHON=$venv/bin/python
        if ! pauc_runs "$PYTHON"; then
            pauc_say "$venv is broken: remove it and start again"
            return 1
        fi
    fi
    if ! pauc_fits "$PYTHON"; then
        pauc_say "needs Python 3.10 to 3.13; $PYTHON is $("$PYTHON" --version)"
        return 1
    fi
    export PYTHON
    pauc_stack || return
    PAUC_TMP=$(mktemp -d) || return
    local limits=$PAUC_TMP/constraints.txt prefix
    pauc_constraints "$REPO/requirements/constraints.txt" "$policy" \
        >"$limits" || return
    prefix=$("$PYTHON" -c 'import sys; print(sys.prefix)') || return
    for group in runtime "$@"; do
        if [[ ! $group =~ ^(runtime|dev|detection|export|docs|mutation)$ ]]; then
            pauc_say "there is no group '$group'; there are: dev, detection," \
                'export, docs, mutation (for faiss-gpu see docs/install.md)'
            return 1
        fi
        [[ $group == detection && $STACK == onedl ]] && group=onedl-detection
        local stamp=$prefix/.pauc_mm-$group state
        state=$(pauc_state "$group") || return
        if [[ -f $stamp && $(<"$stamp") == "$state" ]] && pauc_has pauc_mm &&
            pauc_has mmcv mmcv-lite onedl-mmcv; then
            continue
        fi
        pauc_say "setting up $prefix for: $group"
        if [[ $group == runtime ]]; then
            pauc_install_runtime "$limits" || return
        else
            pauc_pip install -c "$limits" \
                -r "$REPO/requirements/$group.txt" || return
        fi
        printf '%s' "$state" >"$stamp" || return
    done
    pauc_say "ready: $PYTHON"
}

pauc_setup "$@"
pauc_status=$?
[[ -n ${PAUC_TMP:-} ]] && rm -rf "$PAUC_TMP"
unset PAUC_TMP
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    exit "$pauc_status"
fi
(exit "$pauc_status")
