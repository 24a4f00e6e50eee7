# shellcheck shell=bash
# The cluster that the tests run on. It takes minutes to build, and is needed late.

preparing="" own_cluster="" with_node=""

# Begins what the parts need later, and sees to the end of it.
prepare_for() {
  [[ " $* " =~ \ (chart|operator|e2e)\  ]] || return 0
  if [[ -n ${TEST_KUBECONFIG:-} ]]; then
    # Helm and kubectl are of use there too.
    tests/cluster build
    return
  fi
  # Noted before it starts, so that it also ends if it comes up halfway.
  tests/cluster kubeconfig &>/dev/null || own_cluster=yes
  trap finish EXIT
  prepare_kubernetes
}

# Builds it with the processor time that steps leave.
prepare_kubernetes() {
  set -m # a process group of its own, to be ended with all it started
  build_kubernetes >"$logs/prepare-kubernetes.log" 2>&1 &
  set +m
  preparing=$!
}

build_kubernetes() {
  local started=$SECONDS
  trap - EXIT
  chrt --idle --pid 0 "$BASHPID" &>/dev/null || renice -n 19 "$BASHPID" &>/dev/null || true
  tests/cluster build || return
  echo "beside other steps: $((SECONDS - started)) s"
}

await_kubernetes() {
  local status=0
  wait "$preparing" || status=$?
  cat "$logs/prepare-kubernetes.log"
  return "$status"
}

# The cluster that the tests run on: the caller's, one that is up, or one that ends with this run;
# with a node where the end-to-end tests are to come and this machine can have one.
cluster() {
  [[ -z ${TEST_KUBECONFIG:-} ]] || return 0
  step "kubernetes" await_kubernetes
  step "cluster" start_cluster
}

start_cluster() {
  local arguments=() status=0
  [[ -n $with_node ]] || arguments+=(--control-plane)
  tests/cluster up "${arguments[@]}" || status=$?
  ((status == NOT_RUN)) || return "$status"
  if [[ ${CI:-} == true ]]; then
    echo "and in CI all tests are to run"
    return 1
  fi
  tests/cluster up --control-plane
}

# What reaches it.
kubeconfig() {
  printf '%s\n' "${TEST_KUBECONFIG:-$(tests/cluster kubeconfig)}"
}

has_node() {
  [[ -n ${TEST_KUBECONFIG:-} ]] || tests/cluster inside true
}

# Nothing that was started here stays.
finish() {
  [[ -z $preparing ]] || kill -- "-$preparing" 2>/dev/null || true
  [[ -z $own_cluster ]] || tests/cluster down &>/dev/null || true
}
