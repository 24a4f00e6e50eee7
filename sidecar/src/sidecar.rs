//! Assembles and runs a sidecar: for the binary, `tributary run` and tests.

use std::future::Future;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use hyper::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Sender;
use tokio::sync::{oneshot, watch};
use tracing::info;
use tributary_crds::memory::budget_bytes;
use tributary_crds::sidecar_config::{SecretUse, SidecarConfig};
use tributary_runtime::admin_port;
use tributary_runtime::log::{Log, targets};
use tributary_runtime::server::{self, CloseTimes, Connections, CurrentTlsConfig, Drain, KeepAlive};

use crate::aws_changes::AwsChanges;
use crate::aws_client::{Connector, Network, sdk_client};
use crate::clock::Clock;
use crate::delivery::{Bucket, Delivery, REASONS, S3Endpoint, Uploads, watch_bucket};
use crate::ingest::{self, Access, Ingest, Refusal, request_series, watch_configured};
use crate::log_level;
use crate::memory::{self, Budget};
use crate::own_thread::OwnThread;
use crate::secret::certificate::Tls;
use crate::secret::external_id::external_id;
use crate::secret::{Folder, follow};
use crate::session::{BaseIdentity, SessionManager, Sessions, Sts, StsEndpoint};
use crate::status::admin::Admin;
use crate::status::conditions::Conditions;
use crate::status::metrics::{Metrics, Series};
use crate::status::readiness::Readiness;

/// The dependencies of a sidecar, provided by the process that runs it.
#[derive(Debug)]
pub struct Dependencies {
    /// The AWS identity with which the sidecar assumes the function's role.
    pub identity: BaseIdentity,
    /// The folder below which the function's Secrets are mounted, each in the folder of its use
    /// ([`SecretUse::folder`]).
    pub secrets: std::path::PathBuf,
    /// Endpoints that override those in the function's spec.
    pub endpoints: Endpoints,
    /// How AWS is reached, where the function does not say.
    pub network: Network,
    /// The platform's region, used for STS unless the function sets one or the role is in another partition; the default
    /// is the bucket's region.
    pub region: Option<String>,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// Reports that the role or the bucket is known to have changed.
    pub aws_changes: AwsChanges,
    /// How the sidecar shuts down.
    pub drain: Drain,
    /// The log whose level requests for `/status` may raise; `None` keeps the level fixed.
    pub log: Option<Log>,
}

/// Endpoint URLs of an S3 and an STS other than those that the spec or AWS's defaults give.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// S3: scheme, host and port. Requests to it use path-style addressing.
    pub s3: Option<String>,
    /// STS: scheme, host and port.
    pub sts: Option<String>,
}

/// The sidecar of one function.
#[derive(Debug)]
pub struct Sidecar {
    config: SidecarConfig,
    dependencies: Dependencies,
    conditions: Arc<Conditions>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// The memory budget of requests and batches.
    budget: Budget,
    refusals: Option<Sender<Refusal>>,
}

impl Sidecar {
    /// Creates the sidecar; [`run`](Self::run) starts it.
    pub fn new(config: SidecarConfig, dependencies: Dependencies) -> Self {
        let stores_dead_letters = config.spec.delivery.dead_letter.is_some();
        let conditions = Arc::new(Conditions::new(Arc::clone(&dependencies.clock), stores_dead_letters));
        let budget = Budget::new(memory::size(budget_bytes(&config.spec)));
        let series = Series { upload_errors: REASONS.to_vec(), requests: request_series() };
        let metrics = Metrics::new(budget.clone(), &series);
        Self { metrics, readiness: Arc::default(), budget, config, dependencies, conditions, refusals: None }
    }

    /// Reports each refused request and event to `refusals`, for `tributary run`. A report is dropped when the channel
    /// is full, since no client must wait for it.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Sender<Refusal>) -> Self {
        self.refusals = Some(refusals);
        self
    }

    /// The conditions that the sidecar reports.
    pub fn conditions(&self) -> Arc<Conditions> {
        Arc::clone(&self.conditions)
    }

    /// Whether the sidecar has become ready: a session is usable, and the bucket was checked. It never becomes false.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.readiness.subscribe()
    }

    /// The metrics that the sidecar collects.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Accepts events on `events` and serves the admin port on `admin` until `shutdown` completes; then drains.
    pub async fn run(self, events: TcpListener, admin: TcpListener, shutdown: impl Future<Output = ()>) {
        let connector = Arc::new(Connector::new(self.dependencies.network.clone()));
        let sessions = self.keep_session(sdk_client(Arc::clone(&connector)));
        let tls = self.tls();
        let readiness = Arc::clone(&self.readiness);
        let (bucket_is_usable, bucket_usable) = oneshot::channel();
        let beginning = {
            let (readiness, mut sessions, mut tls) = (Arc::clone(&readiness), sessions.clone(), tls.clone());
            let begun = async move {
                sessions.ready().await;
                if let Some(tls) = &mut tls {
                    tls.ready().await;
                }
                // Can't fail: the check runs as long as this task.
                let _ = bucket_usable.await;
            };
            tokio::spawn(async move { readiness.begin_with(begun).await })
        };
        let admin = self.serve_admin(admin, sessions.clone(), Arc::clone(&readiness));
        let uploads = Arc::new(self.uploads(sessions, connector));
        let aws_changes = self.dependencies.aws_changes.subscribe();
        let watching = tokio::spawn(watch_bucket(Arc::clone(&uploads), bucket_is_usable, aws_changes));
        let access = Access::follow(self.config.spec.ingest.as_ref(), &self.dependencies.secrets);
        let clock = Arc::clone(&self.dependencies.clock);
        let configured =
            tokio::spawn(watch_configured(access.clone(), tls.clone(), clock, self.conditions(), self.metrics()));
        let delivery = Arc::new(self.delivery(uploads));
        let reporting = tokio::spawn(delivery.keep_reports());
        let ingest = Arc::new(self.ingest(access, delivery));
        let connections = self.connections();
        let handler = move |request: Request<Incoming>| {
            let ingest = Arc::clone(&ingest);
            async move { ingest.handle(request).await }
        };
        let ending = async {
            shutdown.await;
            info!("shutting down: open requests are still answered");
            readiness.end();
        };
        let tls = tls.map(|tls| -> CurrentTlsConfig { Arc::new(move || tls.current()) });
        server::serve(events, connections, tls, Arc::new(handler), self.dependencies.drain, ending).await;
        for task in [beginning, watching, configured, reporting] {
            task.abort();
        }
        admin.end().await;
        let totals = self.metrics.totals();
        info!(stored = totals.stored, objects = totals.objects, rejected = totals.rejected, "ended");
    }

    fn keep_session(&self, http: SharedHttpClient) -> Sessions {
        let spec = &self.config.spec;
        let reference = &spec.external_id_secret_ref;
        let folder = Folder::of(&self.dependencies.secrets, SecretUse::ExternalId);
        let (key, prefix) = (reference.key.to_string(), self.config.demanded_external_id_prefix().cloned());
        let external_id = follow(move || folder.read(&key), move |value| external_id(value, prefix.as_ref()));
        let (given, region) = (self.dependencies.endpoints.sts.clone(), self.dependencies.region.as_deref());
        let endpoint = StsEndpoint::of(spec, given, region, self.dependencies.network.variant, http);
        let manager = SessionManager {
            sts: Sts::new(spec, self.config.session_name(), endpoint, Arc::clone(&self.dependencies.clock)),
            identity: self.dependencies.identity.clone(),
            external_id,
            aws_changes: self.dependencies.aws_changes.subscribe(),
            secret: (reference.name.to_string(), reference.key.to_string()),
            prefix: self.config.external_id_prefix.clone(),
            prefix_is_audited: self.config.external_id_prefix_is_audited,
            policy: spec.external_id_enforcement,
            conditions: self.conditions(),
            metrics: self.metrics(),
        };
        manager.start()
    }

    fn connections(&self) -> Arc<Connections> {
        let spec = &self.config.spec;
        let keep_alive = KeepAlive { idle: spec.idle_timeout(), max_age: Some(spec.max_connection_age()) };
        Connections::new(spec.max_connections(), keep_alive, CloseTimes::INTERNET, self.metrics.connections())
    }

    fn tls(&self) -> Option<Tls> {
        let reference = self.config.spec.ingest.as_ref()?.tls_secret_ref.as_ref()?;
        Some(Tls::follow(&self.dependencies.secrets, &reference.name))
    }

    fn delivery(&self, uploads: Arc<Uploads>) -> Delivery {
        let clock = Arc::clone(&self.dependencies.clock);
        Delivery::new(&self.config.spec, uploads, clock, self.conditions(), self.metrics())
    }

    fn ingest(&self, access: Access, delivery: Arc<Delivery>) -> Ingest {
        let dependencies = ingest::Dependencies {
            budget: self.budget.clone(),
            clock: Arc::clone(&self.dependencies.clock),
            readiness: Arc::clone(&self.readiness),
            metrics: self.metrics(),
            refusals: self.refusals.clone(),
        };
        Ingest::new(&self.config.spec, access, delivery, dependencies)
    }

    fn uploads(&self, sessions: Sessions, connector: Arc<Connector>) -> Uploads {
        let spec = &self.config.spec;
        let endpoint =
            S3Endpoint::of(&spec.s3, self.dependencies.endpoints.s3.clone(), self.dependencies.network.variant);
        let bucket = Bucket::new(spec.s3.clone(), endpoint, connector, Arc::clone(&self.dependencies.clock));
        Uploads::new(spec, bucket, sessions, self.conditions(), self.metrics())
    }

    fn serve_admin(&self, listener: TcpListener, sessions: Sessions, readiness: Arc<Readiness>) -> OwnThread {
        let configured = self.config.spec.log_level;
        let (log_level, requested) = watch::channel(configured);
        if let Some(log) = self.dependencies.log.clone() {
            let set = move |level| log.set(targets(level));
            tokio::spawn(log_level::follow(requested, configured, Arc::clone(&self.dependencies.clock), set));
        }
        let admin = Arc::new(Admin {
            generation: self.config.generation,
            config_hash: self.config.config_hash.clone(),
            conditions: self.conditions(),
            metrics: self.metrics(),
            session_times: Box::new(move || sessions.times()),
            readiness,
            log_level,
        });
        let answer = move |request: Request<Incoming>| std::future::ready(admin.handle(&request));
        // It answers until the process ends.
        let serve = move |listener| admin_port::serve(listener, answer);
        OwnThread::start(listener, serve).expect("a process can create another thread and socket when it starts")
    }
}
