//! Support library of the black-box tests: an in-process AWS, the built sidecar and clients that send it events; and a
//! Kubernetes cluster with the built operator.
//!
//! 1. [`world`] builds the AWS accounts that [`aws`] serves;
//! 2. [`function`] is the configuration that a sidecar starts with, [`mounted`] its Secrets; [`sidecar`] starts the
//!    built binary ([`process`] measures its memory), [`in_process`] runs the same code on an accelerated clock;
//! 3. [`http`], [`raw`] and [`traffic`] send events, made by [`event`] and encoded by [`encode`];
//! 4. [`stored`] compares the objects in S3 with what was sent, [`wait`] polls with a deadline, [`tap`] records the
//!    answers of AWS, [`promlint`] checks metrics, [`installed`] finds clients and readers;
//! 5. [`namespace`] runs a test in its own Linux namespaces, where AWS's host names lead to the test, and [`authority`]
//!    issues certificates for them;
//! 6. [`kubernetes`] connects to a real cluster, and runs the operator beside it or in it.
//!
//! `tests/run` runs the tests, in the order of the parts in `tests/steps`: each part is a shell script that lists its
//! steps.

pub mod authority;
pub mod aws;
pub mod connect_proxy;
pub mod encode;
pub mod endless;
pub mod event;
pub mod function;
pub mod http;
pub mod in_process;
pub mod installed;
pub mod kubernetes;
pub mod mounted;
pub mod namespace;
pub mod output;
pub mod ports;
pub mod process;
pub mod promlint;
pub mod raw;
pub mod sidecar;
pub mod stored;
pub mod tap;
pub mod traffic;
pub mod wait;
pub mod world;

pub use authority::Authority;
pub use aws::{Aws, ClosedPort};
pub use function::Function;
pub use in_process::InProcess;
pub use kubernetes::{ApiProxy, Kubernetes, Namespace, OperatorProcess, OperatorSetup};
pub use ports::Ports;
pub use sidecar::{ExitOutput, Setup, SidecarProcess, start_ready};
pub use traffic::Traffic;
pub use world::World;
