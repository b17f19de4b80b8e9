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

@test "names" {
  need_name my-run-1 28
  for name in "" 1run My run- my_run 'a b' 'a;b' "$(printf 'a%.0s' {1..29})"; do
    capture need_name "$name" 28
    [ "$status" -eq 2 ]
  done
}

@test "quoted words are read back as they were" {
  words=("a b" "it's" '$HOME' --x=1 '' 'a*')
  eval "back=($(quoted "${words[@]}"))"
  [ "${#back[@]}" -eq "${#words[@]}" ]
  for i in "${!words[@]}"; do
    [ "${back[i]}" = "${words[i]}" ]
  done
}

@test "retry: until it succeeds, and no longer than told" {
  count=0
  third() { ((++count == 3)); }
  retry 5 0 third
  [ "$count" -eq 3 ]
  count=0
  never() { count=$((count + 1)); return 7; }
  code=0
  retry 4 0 never || code=$?
  [ "$code" -eq 7 ]
  [ "$count" -eq 4 ]
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
