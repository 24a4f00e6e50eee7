#!/usr/bin/env bash
# Sourced by the script cluster: stops and removes all parts of the cluster, also after a crash.
# shellcheck disable=SC2034,SC2154 # variables that the script cluster and its other parts share

# processes: prints the IDs of all processes that `start` started and of their children. It finds them by a variable in
# their environment, because a recorded ID could belong to another process by now. The pods' processes don't have the
# variable; they end with the node's first process.
processes() {
  local file
  grep --files-with-matches --null-data --no-messages --line-regexp --fixed-strings \
    "TESTS_CLUSTER=$cluster" /proc/[0-9]*/environ | while IFS=/ read -r _ _ file _; do
    printf '%s\n' "$file"
  done
}

cgroups() {
  find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$cgroup" 2>/dev/null || true
}

tear_down() {
  local ids folders deadline=$((SECONDS + 60))
  # No data must be kept, so the processes can be killed.
  while ids=$(processes || true) && [[ -n $ids ]]; do
    ((SECONDS < deadline)) || fail "these processes don't end: $(tr '\n' ' ' <<<"$ids")"
    # shellcheck disable=SC2086 # one word per ID
    kill -KILL $ids 2>/dev/null || true
    sleep 0.1
  done
  # A control group can be removed shortly after its last process has ended.
  while folders=$(cgroups) && [[ -n $folders ]]; do
    ((SECONDS < deadline)) || fail "these control groups are still in use: $(tr '\n' ' ' <<<"$folders")"
    # shellcheck disable=SC2086 # one word per folder
    find $folders -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
  done
  # The mounts below this folder exist only in the node's namespace. If one is visible here after all, its content must
  # not be removed.
  rm -rf --one-file-system "$state"
}
