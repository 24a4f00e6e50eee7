# The daily commands: `just NAME` (cargo install just, or pip install rust-just).
# Each recipe is a plain command, which also works without just.

# Lists the recipes.
[private]
default:
    @just --list

# Formats the code.
fmt:
    cargo fmt --all

# Checks formatting, clippy, documentation, dependencies and shell scripts.
lint:
    tests/run lint

# Regenerates the resource's definition and its reference after a change in crds/src.
crd:
    cargo run --quiet --bin crdgen reference > docs/reference.md
    cargo run --quiet --bin crdgen > crds/destinationfunctions.yaml
    cp crds/destinationfunctions.yaml charts/tributary/files/destinationfunctions.yaml

# Runs all tests, or the named parts: `just test unit`.
test *PARTS:
    tests/run {{ PARTS }}

# Builds the three images as archives in target/images: `just images --profile dev`.
images *ARGUMENTS:
    images/build {{ ARGUMENTS }}

# Measures the cost per event of the release build, for a few minutes; `just bench stream` applies a steady load.
bench *ARGUMENTS:
    cargo run --release --package tributary-bench -- {{ ARGUMENTS }}

# Compares the micro-benchmarks of this checkout with another revision's: `just compare main`.
compare *ARGUMENTS="main":
    bench/compare {{ ARGUMENTS }}

# Runs a function on this machine, without a cluster or cloud: `just run examples/orders.yaml`.
run *ARGUMENTS="examples/orders.yaml":
    cargo run --bin tributary -- run {{ ARGUMENTS }}

# Manages a Kubernetes cluster on this machine: `just cluster up`, `just cluster kubectl get nodes`.
cluster *ARGUMENTS="--help":
    tests/kubernetes/cluster {{ ARGUMENTS }}
