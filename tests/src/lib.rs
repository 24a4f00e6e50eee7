//! What the black-box tests are made with: an AWS in this process, the built sidecar beside it,
//! clients that send it events; and a Kubernetes with the built operator.
//!
//! 1. [`world`] says who and what there is, and [`aws`] serves it;
//! 2. [`function`] is the resource a sidecar is started with, [`mounted`] its Secrets, [`sidecar`]
//!    starts the built binary ([`process`] is what it takes), [`in_process`] the same code on a clock that runs faster;
//! 3. [`http`], [`raw`] and [`traffic`] send events, made by [`event`] and encoded by [`encode`];
//! 4. [`stored`] looks at what S3 has, [`wait`] waits with a deadline, [`tap`] listens in, [`promlint`] checks metrics;
//! 5. [`namespace`] gives a test AWS's own names to itself, and [`authority`] certificates for them;
//! 6. [`kubernetes`] is a real cluster, and starts the operator beside it.

pub mod authority;
pub mod aws;
pub mod encode;
pub mod endless;
pub mod event;
pub mod function;
pub mod http;
pub mod in_process;
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
pub use aws::{Aws, Door};
pub use function::Function;
pub use in_process::InProcess;
pub use kubernetes::{ApiProxy, Kubernetes, Namespace, OperatorProcess, OperatorSetup};
pub use ports::Ports;
pub use sidecar::{Ended, Setup, SidecarProcess, started};
pub use traffic::Traffic;
pub use world::World;
