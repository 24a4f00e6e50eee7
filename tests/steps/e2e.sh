# shellcheck shell=bash
# The part e2e: tests the images, installed by Helm, on a node.

# The prefix of the images' names, and the label of the tests' namespaces.
readonly IMAGE_REGISTRY=${TEST_IMAGE_REGISTRY:-tributary.test} OF_TESTS=tributary.dev/of=tests

readonly NO_NODE="this machine cannot run pods: see the log of the step \"cluster\", and tests/kubernetes/cluster --help"

part_e2e() {
  build
  cluster
  if [[ -z ${TEST_KUBECONFIG:-} ]]; then
    step "images" build_images
    step "images in the node" load_images
  fi
  step "install kstatus" install_kstatus
  step "release tests" run_on_node 1 release
  step "end-to-end tests" run_on_node 16 e2e
}

# Builds images of the programs that the other parts test, with two tags: one to install, and one to upgrade to.
build_images() {
  images/build --profile dev --registry "$IMAGE_REGISTRY" --tag test &&
    images/build --profile dev --registry "$IMAGE_REGISTRY" --tag next "$target/images/next"
}

load_images() {
  has_node || { echo "$NO_NODE" && return "$NOT_RUN"; }
  tests/kubernetes/cluster load "$target"/images/tributary*.tar "$target"/images/next/tributary*.tar
}

# kstatus computes the status of an object, as Flux and other tools do.
install_kstatus() {
  has_node || { echo "$NO_NODE" && return "$NOT_RUN"; }
  (cd tests/kstatus && go build -trimpath -o "$kstatus" .)
}

# run_on_node THREADS TEST: runs a test program with more threads than cores, because the tests mostly wait.
run_on_node() {
  has_node || { echo "$NO_NODE" && return "$NOT_RUN"; }
  export TEST_KSTATUS=$kstatus
  [[ -n ${TEST_KUBECONFIG:-} ]] || export TEST_LOCAL_NODE=yes
  TEST_KUBECONFIG=$(kubeconfig) TEST_IMAGE_REGISTRY=$IMAGE_REGISTRY TEST_IMAGE_TAG=${TEST_IMAGE_TAG:-test} \
    TEST_IMAGE_NEXT_TAG=${TEST_IMAGE_NEXT_TAG:-next} RUST_TEST_THREADS=$1 run_tests "$2" || return
  # After a failure, the release and its namespaces remain for inspection.
  tests/kubernetes/cluster helm uninstall tributary --namespace tributary-system --ignore-not-found --wait &&
    tests/kubernetes/cluster kubectl delete namespace --selector "$OF_TESTS" --wait=false
}
