# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# Functions that the scripts of this folder share. Sourcing it runs nothing: it
# only defines them, and the variables that parse_args fills.

dry_run=0
positional=()
# shellcheck disable=SC2034  # the scripts that source this file read it
program_flags=()

die() {
  echo "error: $*" >&2
  exit 2
}

# say_alive TEXT COMMAND...: runs COMMAND and prints a line every 5 seconds, so
# that a silent command does not look dead. Shows its output only if it fails.
say_alive() {
  local text=$1 start=$SECONDS log status=0 pid
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 &
  pid=$!
  while sleep 0.2 && kill -0 "$pid" 2>/dev/null; do
    if (((SECONDS - start) % 5 == 4)); then
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

# install REPO VENV EXTRAS: makes a virtual environment and installs this
# project in it. Does nothing if setup.py has not changed since the last time.
install() {
  local repo=$1 venv=$2 extras=$3 python stamp
  stamp="$venv/.installed$extras-$(cksum <"$repo/setup.py" | tr ' ' -)"
  [[ -e "$stamp" ]] && return
  python=$(find_python)
  # Debian without python3-venv leaves an environment that has no pip.
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    say_alive "make the virtual environment $venv" \
      "$python" -m venv --clear "$venv" ||
    die "no virtual environment; on Debian: apt install python3-venv"
  say_alive "install threedim_jax$extras" \
    "$venv/bin/python" -m pip install --disable-pip-version-check \
    -e "$repo$extras" || die "pip failed, see above; is there a network?"
  touch "$stamp"
}

# use_env PYTHON FILE: sources an env file. XLA ends a process that has a flag
# it does not know, so if this jaxlib refuses the flags, it runs without them.
use_env() {
  local before=${XLA_FLAGS:-} answer
  # shellcheck disable=SC1090
  source "$2"
  [[ ${XLA_FLAGS:-} != "$before" ]] || return 0
  if ! answer=$(JAX_PLATFORMS=cpu "$1" -c 'import jax; jax.devices()' 2>&1); then
    echo "note: running without the XLA_FLAGS of $2: $(grep -m1 XLA_FLAGS <<<"$answer" || tail -1 <<<"$answer")" >&2
    export XLA_FLAGS=$before
  fi
}

# usage: prints the comment at the top of the running script.
usage() {
  sed -n '4,/^[^#]/s/^#\( \|$\)//p' "$0"
}

# expand WORD: with the home directory for a leading "~/". The shell does not
# expand it in --workdir=~/run.
expand() {
  echo "${1/#'~/'/$HOME/}"
}

# parse_args "NAME= SWITCH ..." ARGS...: stores --name=value and --name value in
# $opt_name, sets opt_switch=1 for a switch, collects other words in positional
# and everything after "--" in program_flags. Knows --help and --dry-run. Reads
# "-" in a name as "_".
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
      positional+=("$(expand "$word")")
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
      printf -v "opt_$name" '%s' "$(expand "$value")"
    elif [[ $known == *" $name "* && $word != *=* ]]; then
      case $name in
        help) usage && exit ;;
        dry_run) dry_run=1 ;;
        *) printf -v "opt_$name" 1 ;;
      esac
    else
      die "unknown option $word; $0 --help lists them (flags of the program come after --)"
    fi
  done
}

# take NAME...: stores the positional arguments in $name. None may be missing.
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
      die "--$name=... is missing; it has no default, on purpose"
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

# need_config FILE[:VARIANT]: dies unless the file exists.
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

# delete_command FOLDER: the command that deletes it.
delete_command() {
  if [[ $1 == gs://* ]]; then
    quoted gcloud storage rm -r "$1"
  else
    quoted rm -r "$1"
  fi
}

# same_again ARGS...: the line that repeats this call, and not as a dry run.
same_again() {
  local word words=() before=1
  for word in "$@"; do
    [[ $word != -- ]] || before=0
    ((before)) && [[ $word == --dry[-_]run ]] || words+=("$word")
  done
  quoted bash "$0" "${words[@]}"
}

# run COMMAND...: runs it; a dry run prints it instead.
run() {
  if ((dry_run)); then quoted "$@"; else "$@"; fi
}

# pick_python REPO: $PYTHON, else that of .venv, else the one in PATH.
pick_python() {
  local venv=$1/.venv/bin/python
  if [[ -n ${PYTHON:-} || ! -x $venv ]]; then venv=${PYTHON:-python3}; fi
  echo "$venv"
}

# env_file REPO [NAME]: the path of an env file. Without a NAME it chooses by the
# device files of this machine.
env_file() {
  local name=$2 path
  if [[ -z $name ]]; then
    name=cpu
    ! compgen -G "/dev/accel[0-9]*" >/dev/null || name=tpu
    ! compgen -G "/dev/vfio/[0-9]*" >/dev/null || name=tpu
    ! compgen -G "/dev/nvidia[0-9]*" >/dev/null || name=gpu
  fi
  path=$1/launch/env/$name.env
  [[ -f $path ]] || die "--env=$name: there is no $path"
  echo "$path"
}
