# shellcheck shell=bash
# The cluster for the tests. Its build takes minutes, so it starts early and in the background.

preparing="" own_cluster="" with_node=""

# Starts the build that the parts need later, and arranges the cleanup.
prepare_for() {
  [[ " $* " =~ \ (chart|operator|e2e)\  ]] || return 0
  if [[ -n ${TEST_KUBECONFIG:-} ]]; then
    # The tests use Helm and kubectl with that cluster too.
    tests/kubernetes/cluster build
    return
  fi
  # Set before the cluster starts, so a cluster that comes up only partly is stopped too.
  tests/kubernetes/cluster kubeconfig &>/dev/null || own_cluster=yes
  trap finish EXIT
  prepare_kubernetes
}

# Builds Kubernetes with the CPU time that other steps leave idle.
prepare_kubernetes() {
  set -m # starts a process group, so that one signal stops all its processes
  build_kubernetes >"$logs/prepare-kubernetes.log" 2>&1 &
  set +m
  preparing=$!
}

build_kubernetes() {
  local started=$SECONDS
  trap - EXIT
  chrt --idle --pid 0 "$BASHPID" &>/dev/null || renice -n 19 "$BASHPID" &>/dev/null || true
  tests/kubernetes/cluster build || return
  echo "in the background: $((SECONDS - started)) s"
}

await_kubernetes() {
  local status=0
  wait "$preparing" || status=$?
  cat "$logs/prepare-kubernetes.log"
  return "$status"
}

# Provides a cluster: the caller's, a running one, or one that stops at the end of this run. It has a node if the end-to-end
# tests follow and this machine can run a node.
cluster() {
  [[ -z ${TEST_KUBECONFIG:-} ]] || return 0
  step "kubernetes" await_kubernetes
  step "cluster" start_cluster
}

start_cluster() {
  local arguments=() status=0
  [[ -n $with_node ]] || arguments+=(--control-plane)
  tests/kubernetes/cluster up "${arguments[@]}" || status=$?
  ((status == NOT_RUN)) || return "$status"
  if [[ -n ${CI:-} ]]; then
    echo "in CI, all tests must run"
    return 1
  fi
  tests/kubernetes/cluster up --control-plane
}

# Prints the path of the kubeconfig.
kubeconfig() {
  printf '%s\n' "${TEST_KUBECONFIG:-$(tests/kubernetes/cluster kubeconfig)}"
}

has_node() {
  [[ -n ${TEST_KUBECONFIG:-} ]] || tests/kubernetes/cluster inside true
}

# Stops the build and the cluster that this run has started.
finish() {
  [[ -z $preparing ]] || kill -- "-$preparing" 2>/dev/null || true
  [[ -z $own_cluster ]] || tests/kubernetes/cluster down &>/dev/null || true
}
