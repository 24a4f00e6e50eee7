//! An in-process S3 and STS, over real HTTP, that enforce AWS's rules: signatures, trust policies with
//! external IDs, session and bucket policies, session expiry, regions. Destination functions run against
//! them without a cloud, and so do this project's tests.
//!
//! One listener serves all services: S3, path-style and virtual-hosted (`PutObject`, `HeadBucket`; other
//! operations are `NotImplemented`), STS on `POST /` (`AssumeRole`, `AssumeRoleWithWebIdentity`,
//! `GetCallerIdentity`), and the credentials endpoint of EKS Pod Identity on `GET /v1/credentials`. It
//! stands for every regional endpoint: the region that a request is signed for counts as the endpoint's.
//! Idle connections are closed as S3 closes them.
//!
//! Accounts, roles, users and buckets come from an accounts file ([`Accounts::parse`]), objects go to a
//! [`Store`], time comes from a [`Clock`], and [`Fault`]s make calls fail. Only the expiry of a presigned
//! URL is also checked against the machine's clock.

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
mod fault_plan;
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

/// The settings of a [`LocalAws`].
#[derive(Debug)]
pub struct Options {
    /// Accounts with their roles, users, buckets and faults.
    pub accounts: Accounts,
    /// Where objects are stored.
    pub store: Store,
    /// The clock for signing times, expiry and latency.
    pub clock: Clock,
    /// Whether calls are kept for [`LocalAws::calls`] and [`LocalAws::subscribe`], or only counted, which is cheaper.
    pub record_calls: bool,
    /// How long a connection may wait for its next request before it is closed.
    pub idle_timeout: Duration,
    /// Domains for virtual-hosted addressing (`BUCKET.DOMAIN`), in addition to AWS's own.
    pub base_domains: Vec<String>,
}

/// How long S3 leaves an idle connection open, as measured by users of the SDK.
/// <https://github.com/awslabs/aws-sdk-rust/issues/1417>
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

impl Options {
    /// Options with these accounts, a memory store, the machine's clock, recorded calls and S3's idle timeout (20 s).
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

/// A handle to one S3 and STS; clones share its state.
#[derive(Clone)]
pub struct LocalAws(Server);

impl LocalAws {
    /// Builds the server; [`LocalAws::serve`] runs it.
    #[must_use]
    pub fn new(options: Options) -> LocalAws {
        let Options { accounts, store, clock, record_calls, idle_timeout, base_domains } = options;
        let state = Arc::new(ServerState::new(accounts, store, clock, record_calls));
        let hosts = Hosts::new(base_domains);
        let hooks = s3::Hooks(Arc::clone(&state));
        let mut config = S3Config::default();
        // s3s compares signing times with the machine's clock; `identity` compares them with the server's.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        let mut builder = S3ServiceBuilder::new(hooks.clone());
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_host(hosts.clone());
        builder.set_auth(hooks.clone());
        builder.set_access(hooks.clone());
        builder.set_route(hooks);
        let counter = || Arc::<AtomicU64>::default();
        let (request_count, connection_count) = (counter(), counter());
        LocalAws(Server {
            state,
            service: builder.build(),
            hosts: Arc::new(hosts),
            idle_timeout,
            request_count,
            connection_count,
        })
    }

    /// Serves `listener` until `shutdown` completes, then closes it and waits at most 5 seconds for
    /// requests in flight.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        self.0.serve(listener, None, shutdown).await;
    }

    /// Like [`LocalAws::serve`], over TLS with the certificates of `tls`.
    pub async fn serve_tls(&self, listener: TcpListener, tls: Arc<ServerConfig>, shutdown: impl Future<Output = ()>) {
        self.0.serve(listener, Some(TlsAcceptor::from(tls)), shutdown).await;
    }

    /// Replaces the accounts and the faults. Sessions of roles that still exist stay valid, under the
    /// roles' new policies.
    pub fn set_accounts(&self, accounts: Accounts) {
        self.0.state.set_accounts(accounts);
    }

    /// Replaces the faults and resets their counts.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.0.state.faults.set(faults);
    }

    /// The latest calls, oldest first, at most 10,000; none unless [`Options::record_calls`] is set.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.state.calls.latest()
    }

    /// The number of calls since the start, by service, operation and outcome.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.state.calls.counts()
    }

    /// Receives calls as they are answered; none unless [`Options::record_calls`] is set.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Call>> {
        self.0.state.calls.subscribe()
    }

    /// All objects of a memory store, sorted by bucket and key; none of other stores.
    #[must_use]
    pub fn objects(&self) -> Vec<StoredObject> {
        self.0.state.store.objects()
    }

    /// The server's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.state.clock
    }
}
