//! An S3 and an STS in this process, over real HTTP, that keep AWS's rules: signatures,
//! trust policies with their external IDs, session and bucket policies, expiry, regions.
//! A destination function runs against them with no cloud, and so do this project's tests.
//!
//! One listener answers for all: S3 (`PutObject`, `HeadBucket`; everything else is
//! `NotImplemented`) in path style and by virtual hosts, STS on `POST /` (`AssumeRole`, `AssumeRoleWithWebIdentity`,
//! `GetCallerIdentity`), and the credentials endpoint of EKS Pod Identity on
//! `GET /v1/credentials`. It stands for every regional endpoint: the region that a request
//! is signed for is the endpoint asked. Idle connections are closed as S3 closes them.
//!
//! Who and what there is comes from an accounts file ([`Accounts::parse`]), objects go into
//! a [`Store`], time comes from a [`Clock`], and [`Fault`]s make things go wrong. A
//! presigned URL's end is also checked against the machine's clock.

mod accounts;
mod answer;
mod arn;
mod authorize;
mod call_context;
mod caller;
mod calls;
mod clock;
mod error_body;
mod error_codes;
mod fault;
mod faults;
mod host;
mod identity;
mod oidc;
mod pod_identity;
mod policy;
mod s3;
mod server;
mod sessions;
mod state;
mod store;
mod sts;
mod target;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use accounts::{Accounts, AccountsError};
pub use calls::{Call, Counts, Service};
pub use clock::Clock;
pub use fault::{Action, CannedResponse, Fault};
pub use store::{Store, StoredObject};

use host::Hosts;
use server::Server;
use state::ServerState;

/// What a server is made of.
#[derive(Debug)]
pub struct Options {
    /// Who and what there is.
    pub accounts: Accounts,
    /// Where objects go.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
    /// Whether calls are kept to be looked at, or only counted, which is cheaper.
    pub record_calls: bool,
    /// How long a connection may be idle before it is closed.
    pub idle_timeout: Duration,
    /// Domains that a bucket's name may be put in front of, in addition to AWS's own.
    pub base_domains: Vec<String>,
}

/// How long S3 leaves an idle connection open, as measured by those it happened to.
/// <https://github.com/awslabs/aws-sdk-rust/issues/1417>
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

impl Options {
    /// A server of these accounts that keeps objects in memory, goes by the machine's clock and records calls.
    #[must_use]
    pub fn new(accounts: Accounts) -> Options {
        Options {
            accounts,
            store: Store::memory(),
            clock: Clock::real(),
            record_calls: true,
            idle_timeout: IDLE_TIMEOUT,
            base_domains: Vec::new(),
        }
    }
}

/// A handle on one S3 and STS; clones are of the same.
#[derive(Clone)]
pub struct LocalAws(Server);

impl LocalAws {
    /// Makes the server; [`LocalAws::serve`] runs it.
    #[must_use]
    pub fn new(options: Options) -> LocalAws {
        let Options { accounts, store, clock, record_calls, idle_timeout, base_domains } = options;
        let state = Arc::new(ServerState::new(accounts, store, clock, record_calls));
        let hosts = Hosts::new(base_domains);
        let hooks = s3::Hooks(Arc::clone(&state));
        let mut config = S3Config::default();
        // The library goes by the machine's clock; ours is looked at after it.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        let mut builder = S3ServiceBuilder::new(hooks.clone());
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_host(hosts.clone());
        builder.set_auth(hooks.clone());
        builder.set_access(hooks.clone());
        builder.set_route(hooks);
        let counter = || Arc::<AtomicU64>::default();
        let (requests, connections) = (counter(), counter());
        LocalAws(Server {
            state,
            service: builder.build(),
            hosts: Arc::new(hosts),
            idle_timeout,
            requests,
            connections,
        })
    }

    /// Answers on `listener` until `shutdown` is done and the requests under way are too
    /// (for at most 5 seconds).
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        self.0.serve(listener, None, shutdown).await;
    }

    /// The same over TLS, with the certificates of `tls`.
    pub async fn serve_tls(&self, listener: TcpListener, tls: Arc<ServerConfig>, shutdown: impl Future<Output = ()>) {
        self.0.serve(listener, Some(TlsAcceptor::from(tls)), shutdown).await;
    }

    /// Puts other accounts in place, and their faults. Sessions of roles that are still
    /// there go on, under the policies as they are now.
    pub fn set_accounts(&self, accounts: Accounts) {
        self.0.state.set_accounts(accounts);
    }

    /// Puts other faults in place, their counts at the start.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.0.state.faults.set(faults);
    }

    /// The latest calls, oldest first, at most 10,000; none unless they are recorded.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.state.calls.latest()
    }

    /// How many calls there were, of each kind and outcome, since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.state.calls.counts()
    }

    /// Calls as they are answered; nothing unless they are recorded.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Call>> {
        self.0.state.calls.subscribe()
    }

    /// All objects of a memory store, by bucket and key.
    #[must_use]
    pub fn objects(&self) -> Vec<StoredObject> {
        self.0.state.store.objects()
    }

    /// The clock in use.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.state.clock
    }
}
