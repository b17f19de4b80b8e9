# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# The functions of launch/common.sh and launch/restarts.sh.

setup() {
  cd "$BATS_TEST_DIRNAME/../.."
  # common.sh has a `run` of its own.
  eval "$(declare -f run | sed '1s/^run/capture/')"
  source launch/common.sh
  source launch/restarts.sh
}

@test "options: value, switch, words, flags of the program" {
  opt_zone='' opt_spot='' opt_max_restarts=''
  parse_args "zone= spot max_restarts=" a --zone=z=1 --spot b \
    --max-restarts 3 -- --zone=other c
  [ "$opt_zone" = z=1 ]
  [ "$opt_spot" = 1 ]
  [ "$opt_max_restarts" = 3 ]
  [ "${positional[*]}" = "a b" ]
  [ "${program_flags[*]}" = "--zone=other c" ]
  [ "$dry_run" = 0 ]
}

@test "a leading ~/ is the home directory, which the shell leaves in --a=~/b" {
  opt_logs='' HOME='/home of/me'
  parse_args "logs=" '~/my run' 'a~/b' '--logs=~/l' -- '--workdir=~/w'
  [ "${positional[0]}" = "/home of/me/my run" ]
  [ "${positional[1]}" = "a~/b" ]
  [ "$opt_logs" = "/home of/me/l" ]
  [ "${program_flags[*]}" = "--workdir=~/w" ] # the program's own
}

@test "both spellings of a dry run" {
  parse_args "" --dry-run
  [ "$dry_run" = 1 ]
  dry_run=0
  parse_args "" --dry_run
  [ "$dry_run" = 1 ]
}

@test "an unknown option, a missing value, a value for a switch" {
  capture parse_args "zone= spot" --zon=1
  [ "$status" -eq 2 ]
  capture parse_args "zone= spot" --zone
  [ "$status" -eq 2 ]
  capture parse_args "zone= spot" --spot=1
  [ "$status" -eq 2 ]
}

@test "quoted words are read back as they were" {
  words=("a b" "it's" '$HOME' --x=1 '' 'a*')
  eval "back=($(quoted "${words[@]}"))"
  [ "${#back[@]}" -eq "${#words[@]}" ]
  for i in "${!words[@]}"; do
    [ "${back[i]}" = "${words[i]}" ]
  done
}

@test "verdict: the code of the process that caused the end" {
  [ "$(verdict 0 0)" = 0 ]
  [ "$(verdict 75 137)" = 75 ]
  [ "$(verdict 134 124 134)" = 124 ]
  [ "$(verdict 134 2)" = 2 ]
  [ "$(verdict 134 1 134)" = 1 ]
  [ "$(verdict 134 137)" = 137 ]
  [ "$(verdict 0 75)" = 75 ]
}

@test "a workdir is deleted where it lies" {
  [ "$(delete_command gs://b/w)" = "gcloud storage rm -r gs://b/w" ]
  [ "$(delete_command 'my runs')" = "rm -r 'my runs'" ]
}

@test "say_alive reports, and keeps the exit code and the output of a failure" {
  capture say_alive "make it" true
  [[ $output == "make it, done in "* ]]
  capture say_alive "make it" sh -c 'echo the reason; exit 3'
  [ "$status" -eq 3 ]
  [[ $output == *"the reason"* ]]
}

@test "no old Python is taken" {
  for name in python3 python3.11 python3.12 python3.13; do
    printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/$name"
    chmod +x "$BATS_TEST_TMPDIR/$name"
  done
  PYTHON='' PATH=$BATS_TEST_TMPDIR capture find_python
  [ "$status" -eq 2 ]
  [[ $output == *"Python 3.11 or later"* ]]
}
