//! Serves S3 and STS in the test process, and makes their calls fail on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ServerConfig;
use tributary_local_aws::{Action, Call, CannedResponse, Clock, Fault, LocalAws, Options, Service, StoredObject};
use tributary_runtime::listen;

use crate::World;

/// An in-process S3 and STS that enforce AWS's rules, served on a port of their own until the test ends.
#[derive(Clone)]
pub struct Aws {
    aws: LocalAws,
    address: SocketAddr,
}

impl Aws {
    /// Serves `world` with the machine's clock.
    pub async fn start(world: &World) -> Self {
        Self::start_at(world, Clock::real()).await
    }

    /// Serves `world` with another clock.
    pub async fn start_at(world: &World, clock: Clock) -> Self {
        Self::start_with(Options { clock, ..Options::new(world.accounts()) }).await
    }

    /// Serves with these options.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start_with(options: Options) -> Self {
        let aws = LocalAws::new(options);
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        serve(&aws, listener);
        Self { aws, address }
    }

    /// Serves the same AWS over TLS too, at this address, until the task is aborted.
    ///
    /// # Panics
    /// If the address is in use.
    pub async fn serve_tls(&self, address: &str, tls: Arc<ServerConfig>) -> JoinHandle<()> {
        self.serve_tls_on(TcpListener::bind(address).await.expect("a free address"), tls)
    }

    /// Serves the same AWS over TLS too, on a free port, until the task is aborted. Returns its address.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn serve_tls_on_free_port(&self, tls: Arc<ServerConfig>) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        (listener.local_addr().expect("a bound port"), self.serve_tls_on(listener, tls))
    }

    fn serve_tls_on(&self, listener: TcpListener, tls: Arc<ServerConfig>) -> JoinHandle<()> {
        let aws = self.aws.clone();
        tokio::spawn(async move { aws.serve_tls(listener, tls, std::future::pending()).await })
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the accounts, and removes all faults.
    pub fn set(&self, world: &World) {
        self.aws.set_accounts(world.accounts());
    }

    /// Replaces the faults.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.aws.set_faults(faults.into_iter().collect());
    }

    /// All stored objects.
    pub fn objects(&self) -> Vec<StoredObject> {
        self.aws.objects()
    }

    /// The object with this key.
    ///
    /// # Panics
    /// If there is none.
    pub fn object(&self, key: &str) -> StoredObject {
        let objects = self.objects();
        let keys: Vec<_> = objects.iter().map(|object| object.key.clone()).collect();
        objects.into_iter().find(|object| object.key == key).unwrap_or_else(|| panic!("no {key} among {keys:?}"))
    }

    /// All calls so far that were answered, or whose connection was cut.
    pub fn calls(&self) -> Vec<Call> {
        self.aws.calls()
    }

    /// The calls of AssumeRole so far.
    pub fn assume_role_calls(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.operation == "AssumeRole").collect()
    }

    /// How many sessions STS has issued.
    pub fn sessions(&self) -> usize {
        self.assume_role_calls().iter().filter(|call| call.status == Some(200)).count()
    }

    /// How many PutObject calls had this outcome: an error code, or `cut` for a cut connection.
    pub fn puts_answered(&self, outcome: &str) -> u64 {
        let counts = self.aws.counts();
        counts.iter().filter(|((_, name, how), _)| *name == "PutObject" && how == outcome).map(|(_, count)| count).sum()
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        self.aws.clock()
    }
}

/// A port that refuses connections until it is opened.
pub struct ClosedPort {
    socket: TcpSocket,
    address: SocketAddr,
}

impl ClosedPort {
    /// Binds a free port without listening on it.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn bind() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = socket.local_addr().expect("a bound port");
        Self { socket, address }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts listening, and serves `aws` there.
    ///
    /// # Panics
    /// If the socket can't listen.
    pub fn open(self, aws: &Aws) {
        serve(&aws.aws, self.socket.listen(1024).expect("a listening socket"));
    }
}

fn serve(aws: &LocalAws, listener: TcpListener) {
    let aws = aws.clone();
    tokio::spawn(async move { aws.serve(listener, std::future::pending()).await });
}

/// A fault that affects every PutObject.
pub fn puts(action: Action) -> Fault {
    Fault { operation: Some("PutObject".to_owned()), ..Fault::new(action) }
}

/// A fault that affects every call to STS.
pub fn sts(action: Action) -> Fault {
    Fault { service: Some(Service::Sts), ..Fault::new(action) }
}

/// Delays a call by `time`.
pub fn latency(time: Duration) -> Action {
    Action::LatencyMs(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Answers a call with this AWS error code.
pub fn error(code: &str) -> Action {
    Action::Error(code.to_owned())
}

/// Answers a call with a fixed response, as a server other than S3 would.
pub fn respond(status: u16, headers: &[(&str, &str)], body: &str) -> Action {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Action::Respond(CannedResponse { status, headers, body: body.to_owned() })
}
