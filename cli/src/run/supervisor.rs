//! Runs the sidecar, watches the files, and rolls the sidecar when the function is edited.

use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Notify, broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use tributary_crds::conditions::SidecarCondition;
use tributary_local_aws::Call;
use tributary_runtime::log::Log;
use tributary_runtime::signals::ShutdownSignals;
use tributary_sidecar::clock::MachineClock;
use tributary_sidecar::status::metrics::{Metrics, Totals};
use tributary_sidecar::{Dependencies, Drain, Refusal, Sidecar};

use super::cloud::Cloud;
use super::console::Console;
use super::function::{Edit, Watched};
use super::mount::Mount;
use super::targets;
use crate::Outcome;

/// Interval at which the files are read again and the live count is updated.
const LOOK: Duration = Duration::from_millis(500);

/// Refusals that can wait to be printed. If clients are faster than the output, the sidecar drops further ones.
const UNSHOWN: usize = 1024;

/// No delay, because no load balancer has to notice the end; requests in flight get 10 s to be answered.
const DRAIN: Drain = Drain { delay: Duration::ZERO, grace: Duration::from_secs(10) };

/// Everything that a run needs: valid files, bound ports, the console.
pub struct Supervisor {
    pub function: Watched,
    pub cloud: Cloud,
    pub events: TcpListener,
    pub admin: TcpListener,
    pub console: Console,
    /// The log, if it is printed, to change its level when the function is edited.
    pub log: Option<Log>,
}

/// How a run ended, which decides the exit code.
enum End {
    /// Every request was answered.
    Answered,
    /// Requests in flight got no answer.
    Cut,
}

/// A running sidecar: its task, and the handles to observe and stop it.
struct Running {
    role_changed: Arc<Notify>,
    conditions: watch::Receiver<Vec<SidecarCondition>>,
    metrics: Arc<Metrics>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Runs until Ctrl-C or SIGTERM; fails if requests got no answer.
    pub fn run(self) -> Outcome {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::Failed(format!("can't start threads: {error}\n")),
        };
        match runtime.block_on(self.supervise()) {
            Ok(End::Answered) => Outcome::Done(String::new()),
            Ok(End::Cut) => Outcome::Failed(String::new()),
            Err(error) => Outcome::Failed(format!("{error}\n")),
        }
    }

    async fn supervise(mut self) -> std::io::Result<End> {
        let mut signals = ShutdownSignals::new()?;
        let mut mount = Mount::new(self.function.current())?;
        let mut stored = self.serve_cloud()?;
        let (events, admin) = (self.events.local_addr()?.to_string(), self.admin.local_addr()?.to_string());
        self.console.start(self.function.current(), &self.cloud, &mount, &events, &admin);

        let mut before = Totals::default();
        let (report, mut refusals) = mpsc::channel(UNSHOWN);
        let mut running = self.start(&mount, &report)?;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = signals.recv() => break,
                call = next(&mut stored) => {
                    if self.tell_first_object(&call) {
                        stored = None;
                    }
                }
                Some(refusal) = refusals.recv() => self.console.refused(&refusal),
                changed = running.conditions.changed() => {
                    if changed.is_ok() {
                        let now = running.conditions.borrow_and_update().clone();
                        self.console.conditions(&now);
                    }
                }
                _ = look.tick() => {
                    self.console.count(sum(before, running.metrics.totals()));
                    if self.look(&mut mount, &running)? {
                        // As in a cluster: the new sidecar accepts events before the old one is stopped.
                        let new = self.start(&mount, &report)?;
                        self.console.forget();
                        before = sum(before, stop(std::mem::replace(&mut running, new)).await);
                    }
                }
            }
        }
        Ok(self.end(running, before, &mut signals, refusals).await)
    }

    /// Stops the sidecar when it has answered the requests in flight, or at a second signal; prints the summary.
    async fn end(
        &mut self,
        running: Running,
        before: Totals,
        signals: &mut ShutdownSignals,
        mut refusals: Receiver<Refusal>,
    ) -> End {
        let metrics = Arc::clone(&running.metrics);
        self.console.stopping(metrics.requests_in_flight());
        let (last, unanswered) = tokio::select! {
            // After its grace period the sidecar ends even if requests are unanswered.
            totals = stop(running) => (totals, metrics.requests_in_flight()),
            () = signals.recv() => (metrics.totals(), metrics.requests_in_flight()),
        };
        while let Ok(refusal) = refusals.try_recv() {
            self.console.refused(&refusal);
        }
        let place = match &self.cloud {
            Cloud::Real => format!("s3://{}", self.function.current().config.spec.s3.bucket),
            Cloud::Embedded(embedded) => embedded.data.display().to_string(),
        };
        if unanswered > 0 {
            self.console.stopped(unanswered);
        }
        self.console.end(sum(before, last), &place);
        if unanswered == 0 { End::Answered } else { End::Cut }
    }

    /// Starts the embedded AWS, if there is one, and subscribes to its calls.
    fn serve_cloud(&self) -> std::io::Result<Option<broadcast::Receiver<Arc<Call>>>> {
        let Cloud::Embedded(embedded) = &self.cloud else { return Ok(None) };
        let calls = embedded.aws.subscribe();
        let (aws, listener) = (embedded.aws.clone(), listener(&embedded.listener)?);
        tokio::spawn(async move { aws.serve(listener, pending()).await });
        Ok(Some(calls))
    }

    fn start(&self, mount: &Mount, report: &Sender<Refusal>) -> std::io::Result<Running> {
        let role_changed = Arc::new(Notify::new());
        let dependencies = Dependencies {
            identity: self.cloud.identity(),
            secrets: mount.path().to_owned(),
            endpoints: self.cloud.endpoints(),
            region: None,
            clock: Arc::new(MachineClock::new()),
            role_changed: Arc::clone(&role_changed),
            drain: DRAIN,
            // Not for the sidecar to change: the log level comes from the file, and `look` applies its edits.
            log: None,
        };
        let sidecar = Sidecar::new(self.function.current().config.clone(), dependencies).with_refusals(report.clone());
        let (conditions, metrics) = (sidecar.conditions().subscribe(), sidecar.metrics());
        let (events, admin) = (listener(&self.events)?, listener(&self.admin)?);
        let (stop, stopped) = oneshot::channel();
        let ending = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(sidecar.run(events, admin, ending));
        Ok(Running { role_changed, conditions, metrics, stop, task })
    }

    /// Applies edits of both files. True if the sidecar must be rolled.
    fn look(&mut self, mount: &mut Mount, running: &Running) -> std::io::Result<bool> {
        match self.cloud.look() {
            Some(Ok(())) => {
                self.console.note("edit", "the accounts file is taken up; a new session is asked for");
                running.role_changed.notify_one();
            }
            Some(Err(says)) => self.console.note("problem", &format!("the accounts file: {says}; AWS stays as it was")),
            None => {}
        }
        match self.function.look() {
            Edit::None => return Ok(false),
            Edit::Wrong(says) => {
                self.console.note("problem", &format!("the file: {says}; the function goes on as it was"));
                return Ok(false);
            }
            Edit::Restored => {
                self.console.note("fixed", "the file is right again");
                return Ok(false);
            }
            Edit::Secret => {
                mount.put(self.function.current())?;
                self.console.note("edit", "the Secrets are taken up");
                return Ok(false);
            }
            Edit::Function => {}
        }
        mount.put(self.function.current())?;
        if let Some(log) = &self.log {
            log.set(targets(self.function.current().config.spec.log_level));
        }
        self.console.note("edit", "the function is taken up");
        Ok(true)
    }

    /// Prints the file if the call stored an object. True if no further call is of interest.
    fn tell_first_object(&mut self, call: &Call) -> bool {
        let Cloud::Embedded(embedded) = &self.cloud else { return true };
        let Some(file) = embedded.file_of(call) else { return false };
        self.console.first_object(&file);
        true
    }
}

/// The next call of the embedded AWS, skipping those that were missed; never ready without a subscription.
async fn next(calls: &mut Option<broadcast::Receiver<Arc<Call>>>) -> Arc<Call> {
    loop {
        match calls {
            None => return pending().await,
            Some(receiver) => match receiver.recv().await {
                Ok(call) => return call,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => *calls = None,
            },
        }
    }
}

/// Another handle to a socket, which stays bound while sidecars are replaced.
fn listener(socket: &TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    let socket = socket.try_clone()?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket)
}

async fn stop(running: Running) -> Totals {
    let _ = running.stop.send(());
    let _ = running.task.await;
    running.metrics.totals()
}

fn sum(one: Totals, two: Totals) -> Totals {
    Totals {
        stored: one.stored + two.stored,
        deduplicated: one.deduplicated + two.deduplicated,
        filtered: one.filtered + two.filtered,
        rejected: one.rejected + two.rejected,
        refused_requests: one.refused_requests + two.refused_requests,
        objects: one.objects + two.objects,
        bytes: one.bytes + two.bytes,
    }
}
