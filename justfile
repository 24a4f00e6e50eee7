# The daily commands: `just NAME` (cargo install just, or pip install rust-just).
# Each line is a plain command and works without just as well.

# What there is.
[private]
default:
    @just --list

# Formats everything.
fmt:
    cargo fmt --all

# Formatting, clippy, documentation, dependencies, shell scripts.
lint:
    tests/run lint

# Writes the resource's definition and its reference again, after a change in crds/src.
crd:
    cargo run --quiet --bin crdgen reference > docs/reference.md
    cargo run --quiet --bin crdgen > crds/destinationfunctions.yaml
    cp crds/destinationfunctions.yaml charts/tributary/files/destinationfunctions.yaml

# Everything, or the parts named: `just test unit`.
test *PARTS:
    tests/run {{ PARTS }}

# The three images, as archives below target/images: `just images --profile dev`.
images *ARGUMENTS:
    images/build {{ ARGUMENTS }}

# What an event costs: loads the release build, for some minutes; `just bench stream` for a steady load.
bench *ARGUMENTS:
    cargo run --release --package tributary-bench -- {{ ARGUMENTS }}

# Runs a function here, with no cluster and no cloud: `just run examples/orders.yaml`.
run *ARGUMENTS="examples/orders.yaml":
    cargo run --bin tributary -- run {{ ARGUMENTS }}

# A Kubernetes of its own on this machine: `just cluster up`, `just cluster kubectl get nodes`.
cluster *ARGUMENTS="--help":
    tests/cluster {{ ARGUMENTS }}
