# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder; source it. It defines functions, and
# the variables that parse_args fills; it does nothing else.

dry_run=0
positional=()
# shellcheck disable=SC2034  # read by the scripts that source this file
program_flags=()

die() {
  echo "error: $*" >&2
  exit 2
}

# say_alive TEXT COMMAND...: runs COMMAND, with a line every 5 seconds in which
# it may well be silent. Its output goes to a log that is shown if it fails.
say_alive() {
  local text=$1 start=$SECONDS log status=0 pid
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if (((SECONDS - start) % 5 == 4)) && kill -0 "$pid" 2>/dev/null; then
      echo "$text, $((SECONDS - start))s elapsed"
      sleep 1
    fi
  done
  wait "$pid" || status=$?
  ((status == 0)) || cat "$log" >&2
  rm -f "$log"
  echo "$text, done in $((SECONDS - start))s"
  return "$status"
}

# find_python: prints a Python interpreter of version 3.11 or later.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "no Python 3.11 or later found; install one or name it: PYTHON=/path/to/python3.11 bash $0"
}

# install REPO VENV EXTRAS: a virtual environment with this project in it.
# Does nothing if setup.py has not changed since the last time.
install() {
  local repo=$1 venv=$2 extras=$3 python stamp
  stamp="$venv/.installed$extras-$(cksum <"$repo/setup.py" | tr ' ' -)"
  [[ -e "$stamp" ]] && return
  python=$(find_python)
  # A half-made one, as Debian leaves without python3-venv, is made again.
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    say_alive "make the virtual environment $venv" \
      "$python" -m venv --clear "$venv" ||
    die "no virtual environment; on Debian: apt install python3-venv"
  say_alive "install threedim_jax$extras" \
    "$venv/bin/python" -m pip install --disable-pip-version-check \
    -e "$repo$extras" || die "pip failed, see above; is there a network?"
  touch "$stamp"
}

# use_env PYTHON FILE: exports the settings of FILE, less the flags that this
# jaxlib does not know.
use_env() {
  local settings
  settings=$("$1" "$(dirname "${BASH_SOURCE[0]}")/env_flags.py" "$2") ||
    die "cannot read $2"
  eval "$settings"
}

# usage: prints the comment at the top of the script that runs.
usage() {
  sed -n '4,/^[^#]/s/^#\( \|$\)//p' "$0"
}

# parse_args "NAME= SWITCH ..." ARGS...: --name=value or --name value into
# $opt_name, a switch into opt_switch=1, words into positional, what follows
# "--" into program_flags. Understands --help and --dry-run. "-" is as good as
# "_" in a name.
parse_args() {
  local known=" $1 dry_run help " word name value
  shift
  while (($#)); do
    word=$1
    shift
    if [[ $word == -- ]]; then
      # shellcheck disable=SC2034
      program_flags=("$@")
      return
    elif [[ $word != -* ]]; then
      positional+=("$word")
      continue
    fi
    name=${word%%=*} name=${name#--}
    [[ $name == -h ]] && name=help
    name=${name//-/_}
    if [[ $known == *" $name= "* ]]; then
      if [[ $word == *=* ]]; then
        value=${word#*=}
      else
        (($#)) || die "$word needs a value"
        value=$1
        shift
      fi
      printf -v "opt_$name" '%s' "$value"
    elif [[ $known == *" $name "* && $word != *=* ]]; then
      case $name in
        help)
          usage
          exit 0
          ;;
        dry_run) dry_run=1 ;;
        *) printf -v "opt_$name" 1 ;;
      esac
    else
      die "unknown option $word; $0 --help lists them (flags of the program come after --)"
    fi
  done
}

# take NAME...: names the positional arguments, all of which must be there.
take() {
  local take_word take_index=0 # a caller's variable may be called "name"
  ((${#positional[@]} <= $#)) || die "one word too many: ${positional[*]:$#}"
  for take_word in "$@"; do
    [[ -n ${positional[take_index]:-} ]] ||
      die "$take_word is missing; $0 --help shows how to call it"
    printf -v "${take_word,,}" '%s' "${positional[take_index]}"
    take_index=$((take_index + 1))
  done
}

# need OPTION...: dies unless each $opt_option has a value.
need() {
  local name variable
  for name in "$@"; do
    variable=opt_$name
    [[ -n ${!variable:-} ]] ||
      die "--$name=... is missing; there is no default, on purpose"
  done
}

# need_number OPTION...: dies unless each is a whole number.
need_number() {
  local name variable
  for name in "$@"; do
    variable=opt_$name
    [[ ${!variable:-} =~ ^[0-9]+$ ]] ||
      die "--$name must be a whole number, not '${!variable:-}'"
  done
}

# need_name TEXT MAX: dies unless TEXT can name a resource of a cluster.
need_name() {
  if ! [[ $1 =~ ^[a-z]([a-z0-9-]*[a-z0-9])?$ ]] || ((${#1} > $2)); then
    die "'$1' cannot be a name: at most $2 of a-z, 0-9 and -, a letter first, no - last"
  fi
}

# need_config FILE: dies unless FILE, less its ":variant", is there.
need_config() {
  [[ -f ${1%%:*} ]] || die "there is no configuration $1 (seen from $PWD)"
}

# need_tool NAME HINT: dies unless the program is in PATH; not in a dry run.
need_tool() {
  ((dry_run)) || command -v "$1" >/dev/null || die "no $1 in PATH; $2"
}

# quoted WORD...: one line that a shell reads back as the same words.
quoted() {
  local word line=
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=@%+,^-]+$ ]] || word=${word@Q}
    line+="${line:+ }$word"
  done
  echo "$line"
}

# delete_command FOLDER: what a person types to delete it.
delete_command() {
  if [[ $1 == gs://* ]]; then
    quoted gcloud storage rm -r "$1"
  else
    quoted rm -r "$1"
  fi
}

# same_again ARGS...: this call, to print; not as a dry run.
same_again() {
  local word words=() before=1
  for word in "$@"; do
    [[ $word != -- ]] || before=0
    ((before)) && [[ $word == --dry[-_]run ]] || words+=("$word")
  done
  quoted bash "$0" "${words[@]}"
}

# run COMMAND...: runs it, or prints it in a dry run.
run() {
  if ((dry_run)); then
    quoted "$@"
  else
    "$@"
  fi
}

# retry TIMES PAUSE COMMAND...: again after PAUSE seconds until it succeeds.
retry() {
  local times=$1 pause=$2 attempt code=0
  shift 2
  for ((attempt = 1; attempt <= times; attempt++)); do
    code=0
    "$@" || code=$?
    ((code == 0 || attempt == times)) && return "$code"
    echo "attempt $attempt of $times failed with $code: $(quoted "$1"); again in ${pause}s" >&2
    sleep "$pause"
  done
}

# pick_python REPO: $PYTHON, else that of .venv, else the one in PATH.
pick_python() {
  if [[ -n ${PYTHON:-} ]]; then
    echo "$PYTHON"
  elif [[ -x $1/.venv/bin/python ]]; then
    echo "$1/.venv/bin/python"
  else
    echo python3
  fi
}

# pick_env: the name of the env file for the hardware of this machine.
pick_env() {
  if compgen -G "/dev/nvidia[0-9]*" >/dev/null; then
    echo gpu
  elif compgen -G "/dev/accel[0-9]*" >/dev/null ||
    [[ -n ${TPU_WORKER_ID:-} ]]; then
    echo tpu
  else
    echo cpu
  fi
}
