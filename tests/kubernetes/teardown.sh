#!/usr/bin/env bash
# Sourced by tests/cluster: ends whatever of the cluster there is, also after a crash.
# shellcheck disable=SC2034,SC2154 # variables that tests/cluster and its other parts share

# processes: the ids of all that `start` started and of what they started, known by a variable
# in their environment: an id that was written down may be someone else's by now. The pods'
# processes don't have it; they end with the first process of the node.
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
  # There is nothing that is to be kept, so nothing has to end well.
  while ids=$(processes || true) && [[ -n $ids ]]; do
    ((SECONDS < deadline)) || fail "these processes don't end: $(tr '\n' ' ' <<<"$ids")"
    # shellcheck disable=SC2086 # a word an id
    kill -KILL $ids 2>/dev/null || true
    sleep 0.1
  done
  # A group can go a moment after its last process.
  while folders=$(cgroups) && [[ -n $folders ]]; do
    ((SECONDS < deadline)) || fail "these control groups are still in use: $(tr '\n' ' ' <<<"$folders")"
    # shellcheck disable=SC2086 # a word a folder
    find $folders -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
  done
  # The mounts below it were in the node's namespace alone. Were one seen here after all, what
  # is behind it is not ours to remove.
  rm -rf --one-file-system "$state"
}
