#!/bin/sh
# Everything that has to work before Python packages exist: checks the prerequisites, then installs
# what the locks pin. POSIX sh, for the same reason.
#
#   sh local/bootstrap.sh check     name every missing prerequisite, install nothing
#   sh local/bootstrap.sh install   check, then bring .venv and node_modules up to the locks
#   sh local/bootstrap.sh tool checkov tests/scan/checkov.txt
#                                   check, then bring .tools/checkov up to that list of packages
#   sh local/bootstrap.sh pipenv …  check, then run pipenv (the machine's own, or one in .tools)
set -eu

PIPENV_VERSION=2026.10.3

cd "$(dirname "$0")/.."
ROOT=$(pwd)
LOGS="$ROOT/.local/logs"

# Settings of an outer shell that would send pipenv elsewhere.
unset PIPENV_PIPFILE PIPENV_CUSTOM_VENV_NAME VIRTUAL_ENV PYTHONHOME PYTHONPATH PIPENV_ACTIVE || :
export PIPENV_VENV_IN_PROJECT=1 PIPENV_IGNORE_VIRTUALENVS=1 PIPENV_NOSPIN=1 PIPENV_YES=1
export PIPENV_VERBOSITY=-1 NO_COLOR=1

say() { printf '%s\n' "$*"; }

now() { date +%s; }

# at_least HAVE MAJOR MINOR: is version HAVE (such as 1.11.4) no older than MAJOR.MINOR?
at_least() {
    major=${1%%.*}
    rest=${1#*.}
    minor=${rest%%.*}
    case "$major$minor" in '' | *[!0-9]*) return 1 ;; esac
    [ "$major" -gt "$2" ] || { [ "$major" -eq "$2" ] && [ "$minor" -ge "$3" ]; }
}

# Runs the candidate: a pyenv shim without a chosen version is on the PATH and still fails.
python_works() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# 3.12 first, because that is what the functions run on; a newer one will do.
find_python() {
    pyenv_versions="${PYENV_ROOT:-$HOME/.pyenv}/versions"
    for candidate in "${PYTHON:-}" python3.12 "$pyenv_versions"/3.12*/bin/python3 \
        python3.13 python3.14 python3 python "$pyenv_versions"/3.1[3-9]*/bin/python3; do
        [ -n "$candidate" ] || continue
        if python_works "$candidate"; then
            # The base, even inside an activated .venv, which may have to be made anew.
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
            return 0
        fi
    done
    return 1
}

find_pipenv() {
    for candidate in pipenv "$ROOT/.tools/pipenv/bin/pipenv"; do
        if "$candidate" --version >/dev/null 2>&1; then
            say "$candidate"
            return 0
        fi
    done
    return 1
}

node_version() { node --version 2>/dev/null | sed 's/^v//'; }

# Without TF_CLI_CONFIG_FILE: a setting that names no file makes Terraform complain.
terraform_version() {
    (
        unset TF_CLI_CONFIG_FILE TF_LOG || :
        CHECKPOINT_DISABLE=1 terraform version 2>/dev/null
    ) | sed -n 's/^Terraform v\([0-9][0-9.]*\).*/\1/p' | head -n 1
}

# wants NAME HAVE MAJOR MINOR HOW: adds a line to MISSING unless HAVE is new enough.
wants() {
    at_least "${2:-none}" "$3" "$4" && return 0
    if [ -n "$2" ]; then found="found $2"; else found="not found"; fi
    miss "$1 $3.$4 or newer ($found)" "$5"
}

# wants_node HAVE: adds a line to MISSING unless HAVE is a version that the CDKTF command line runs on.
wants_node() {
    why=''
    case "${1%%.*}" in
    20 | 22) return 0 ;;
    '') found="not found" ;;
    ? | 1? | 21) found="found $1" ;;
    *)
        found="found $1"
        why=': the CDKTF command line ends with ERR_DLOPEN_FAILED there, since its node-pty has no binary for a Node.js newer than 22'
        ;;
    esac
    miss "Node.js 20 or 22 ($found$why)" "nvm install 22, or https://nodejs.org/en/download"
}

miss() {
    MISSING="$MISSING
  - $1
      $2"
}

check() {
    MISSING=''
    if BASE_PYTHON=$(find_python); then
        if ! find_pipenv >/dev/null && ! "$BASE_PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
            miss "Python's venv module, to install pipenv with (not found for $BASE_PYTHON)" \
                "install your system's python3-venv package, or pipenv itself"
        fi
    else
        miss "Python 3.12 or newer (not found)" \
            "https://www.python.org/downloads/ or: pyenv install 3.12"
    fi
    wants_node "$(node_version || :)"
    npm --version >/dev/null 2>&1 || miss "npm (not found)" "it comes with Node.js: https://nodejs.org/en/download"
    wants Terraform "$(terraform_version || :)" 1 10 "https://developer.hashicorp.com/terraform/install"
    curl --version >/dev/null 2>&1 || miss "curl (not found)" "https://curl.se/download.html, or your system's packages"
    [ -z "$MISSING" ] && return 0
    say "Cannot start yet, this machine lacks:$MISSING

Nothing was installed or changed. Install what is named above, then run the command again." >&2
    return 1
}

# tail_of LABEL FILE: shows why a quiet step failed.
tail_of() {
    say "" "$1 failed. The end of $2:" >&2
    tail -n 25 "$2" >&2
}

install_pipenv() {
    started=$(now)
    say "Installing pipenv $PIPENV_VERSION into .tools (none on the PATH) ..."
    rm -rf "$ROOT/.tools/pipenv"
    if ! {
        "$BASE_PYTHON" -m venv "$ROOT/.tools/pipenv" &&
            "$ROOT/.tools/pipenv/bin/python" -m pip install --quiet --disable-pip-version-check \
                "pipenv==$PIPENV_VERSION"
    } >"$LOGS/pipenv.log" 2>&1; then
        rm -rf "$ROOT/.tools/pipenv"
        tail_of "Installing pipenv" "$LOGS/pipenv.log"
        return 1
    fi
    say "  done in $(($(now) - started)) s"
}

# install_tool NAME LIST: what does not agree with the packages in .venv lives apart from it.
install_tool() {
    stamp="$(cksum <"$2") $BASE_PYTHON $ROOT"
    [ "$(cat ".tools/$1/.installed" 2>/dev/null)" = "$stamp" ] && return 0
    started=$(now)
    mkdir -p "$LOGS"
    say "Installing $1 into .tools (about a minute) ..."
    rm -rf ".tools/$1"
    if ! {
        "$BASE_PYTHON" -m venv ".tools/$1" &&
            ".tools/$1/bin/python" -m pip install --quiet --disable-pip-version-check \
                --requirement "$2"
    } >"$LOGS/$1.log" 2>&1; then
        tail_of "Installing $1" "$LOGS/$1.log"
        return 1
    fi
    say "$stamp" >".tools/$1/.installed"
    say "  done in $(($(now) - started)) s"
}

# What a finished installation was made from; any change makes it be made again.
python_stamp() { say "$(cksum <Pipfile.lock) $BASE_PYTHON"; }
node_stamp() { say "$(cksum <package-lock.json) $(node_version)"; }

# A moved checkout leaves a .venv whose scripts point to the old place, hence the second condition.
python_is_current() {
    [ "$(cat .venv/.installed 2>/dev/null)" = "$(python_stamp) $ROOT" ] && python_works .venv/bin/python
}

node_is_current() {
    [ "$(cat node_modules/.installed 2>/dev/null)" = "$(node_stamp)" ] && [ -x node_modules/.bin/cdktf ]
}

install_python() {
    if [ -d .venv ] && ! { python_works .venv/bin/python && grep -qF " $ROOT" .venv/.installed 2>/dev/null; }; then
        rm -rf .venv
    fi
    rm -f .venv/.installed
    "$PIPENV" --python "$BASE_PYTHON" sync --dev && say "$(python_stamp) $ROOT" >.venv/.installed
}

install_node() {
    npm ci --no-audit --no-fund --no-progress --loglevel=error && node_stamp >node_modules/.installed
}

install() {
    check
    if python_is_current && node_is_current; then return 0; fi
    mkdir -p "$LOGS"
    PIPENV=$(find_pipenv) || { install_pipenv && PIPENV=$(find_pipenv); } || return 1

    # Both mostly wait for downloads and disk, so they run side by side.
    node_job=''
    started=$(now)
    if ! node_is_current; then
        say "Installing the CDKTF command line from package-lock.json (npm ci, about half a minute) ..."
        install_node >"$LOGS/npm.log" 2>&1 &
        node_job=$!
        # An interrupt must not leave npm working in the background.
        trap 'kill "$node_job" 2>/dev/null || :; exit 130' INT TERM
    fi
    failed=''
    if ! python_is_current; then
        say "Installing Python packages from Pipfile.lock into .venv (pipenv sync, about a minute) ..."
        if install_python >"$LOGS/pipenv-sync.log" 2>&1; then
            say "  Python packages: done in $(($(now) - started)) s"
        else
            failed=1
            tail_of "pipenv sync" "$LOGS/pipenv-sync.log"
        fi
    fi
    if [ -n "$node_job" ]; then
        if wait "$node_job"; then
            say "  CDKTF command line: done after $(($(now) - started)) s"
        else
            failed=1
            tail_of "npm ci" "$LOGS/npm.log"
        fi
    fi
    [ -z "$failed" ]
}

case "${1:-}" in
check) check ;;
install) install ;;
tool)
    check
    install_tool "$2" "$3"
    ;;
pipenv)
    shift
    check
    mkdir -p "$LOGS"
    PIPENV=$(find_pipenv) || { install_pipenv && PIPENV=$(find_pipenv); }
    exec "$PIPENV" --python "$BASE_PYTHON" "$@"
    ;;
*)
    say "usage: sh local/bootstrap.sh check | install | tool NAME LIST | pipenv ARGUMENT..." >&2
    exit 2
    ;;
esac
