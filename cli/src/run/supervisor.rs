//! Runs the sidecar, polls the files for edits, and rolls the sidecar when the function is edited.
//!
//! One task does this, and only it prints to the console. Calls of the embedded AWS and refusals of the sidecar arrive
//! through channels; the sidecar's conditions and metrics are read from shared state.

use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use tributary_crds::conditions::SidecarCondition;
use tributary_local_aws::Call;
use tributary_runtime::log::Log;
use tributary_runtime::signals::ShutdownSignals;
use tributary_sidecar::clock::MachineClock;
use tributary_sidecar::status::metrics::Metrics;
use tributary_sidecar::{AwsChanges, Dependencies, Drain, Refusal, Sidecar};

use super::cloud::{AccountsEdit, Cloud};
use super::console::Console;
use super::function::{Edit, WatchedFunction};
use super::mount::Mount;
use super::stopped::StoppedSidecars;
use super::targets;
use crate::Outcome;

/// Interval at which the files are read again and the live count is updated.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum number of refusals that wait to be printed. If clients are faster than the output, the sidecar drops
/// further ones.
const MAX_PENDING_REFUSALS: usize = 1024;

/// No delay, because no load balancer has to notice the shutdown; requests in flight have 10 s to be answered.
const DRAIN: Drain = Drain { delay: Duration::ZERO, grace: Duration::from_secs(10) };

/// Everything that a run needs: valid files, bound ports, the console.
pub struct Supervisor {
    pub function: WatchedFunction,
    pub cloud: Cloud,
    pub events: TcpListener,
    pub admin: TcpListener,
    pub console: Console,
    /// The log, if it is printed, to change its level when the function is edited.
    pub log: Option<Log>,
}

/// The result of the shutdown, which decides the exit code.
enum Shutdown {
    /// Every request was answered.
    Complete,
    /// Requests in flight got no answer.
    RequestsAborted,
}

/// A running sidecar: its task, and the handles to observe and stop it.
struct Running {
    aws_changes: AwsChanges,
    conditions: watch::Receiver<Vec<SidecarCondition>>,
    readiness: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Tells the sidecar to stop. It still answers its requests in flight.
    fn stop(self, stopped: &mut StoppedSidecars) {
        let _ = self.stop.send(());
        stopped.add(self.metrics, self.task);
    }
}

impl Supervisor {
    /// Runs until Ctrl-C or SIGTERM; fails if requests got no answer.
    pub fn run(self) -> Outcome {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::Error(format!("can't start threads: {error}")),
        };
        match runtime.block_on(self.supervise()) {
            Ok(Shutdown::Complete) => Outcome::Done(String::new()),
            Ok(Shutdown::RequestsAborted) => Outcome::Failed(String::new()),
            Err(error) => Outcome::Error(error.to_string()),
        }
    }

    async fn supervise(mut self) -> std::io::Result<Shutdown> {
        let mut signals = ShutdownSignals::new()?;
        let mut mount = Mount::new(self.function.current())?;
        let mut calls = self.serve_embedded_aws()?;
        let (events, admin) = (self.events.local_addr()?.to_string(), self.admin.local_addr()?.to_string());
        self.console.print_start(self.function.current(), &self.cloud, &mount, &events, &admin);
        self.print_notes();

        let mut stopped = StoppedSidecars::default();
        let (refusal_tx, mut refusals) = mpsc::channel(MAX_PENDING_REFUSALS);
        let mut running = self.start_sidecar(&mount, &refusal_tx)?;
        let mut poll = tokio::time::interval(POLL_INTERVAL);
        loop {
            tokio::select! {
                () = signals.recv() => break,
                call = next_call(&mut calls) => {
                    if self.print_first_objects(&call) {
                        calls = None;
                    }
                }
                Some(refusal) = refusals.recv() => self.console.print_refusal(&refusal),
                changed = running.conditions.changed() => {
                    if changed.is_ok() {
                        let conditions = running.conditions.borrow_and_update().clone();
                        self.console.print_conditions(&conditions);
                    }
                }
                Ok(()) = running.readiness.changed() => self.console.print_ready(),
                _ = poll.tick() => {
                    self.console.update_count(stopped.totals() + running.metrics.totals());
                    if self.apply_edits(&mut mount, &running)? {
                        // As in a cluster: the new sidecar accepts events before the old one is stopped.
                        let new = self.start_sidecar(&mount, &refusal_tx)?;
                        self.console.reset_conditions();
                        std::mem::replace(&mut running, new).stop(&mut stopped);
                    }
                }
            }
        }
        running.stop(&mut stopped);
        Ok(self.shut_down(stopped, &mut signals, refusals).await)
    }

    /// Waits until the stopped sidecars have answered the requests in flight, or for a second signal; prints the summary.
    async fn shut_down(
        &mut self,
        mut stopped: StoppedSidecars,
        signals: &mut ShutdownSignals,
        mut refusals: Receiver<Refusal>,
    ) -> Shutdown {
        self.console.print_stopping(stopped.requests_without_answer());
        tokio::select! {
            () = stopped.ended() => {}
            () = signals.recv() => {}
        }
        let unanswered = stopped.requests_without_answer();
        while let Ok(refusal) = refusals.try_recv() {
            self.console.print_refusal(&refusal);
        }
        let location = match &self.cloud {
            Cloud::Real(_) => format!("s3://{}", self.function.current().config.spec.s3.bucket),
            Cloud::Embedded(embedded) => embedded.data.display().to_string(),
        };
        if unanswered > 0 {
            self.console.print_unanswered(unanswered);
        }
        self.console.print_summary(stopped.totals(), &location);
        if unanswered == 0 { Shutdown::Complete } else { Shutdown::RequestsAborted }
    }

    /// Starts the embedded AWS, if there is one, and subscribes to its calls.
    fn serve_embedded_aws(&self) -> std::io::Result<Option<broadcast::Receiver<Arc<Call>>>> {
        let Cloud::Embedded(embedded) = &self.cloud else { return Ok(None) };
        let calls = embedded.aws.subscribe();
        let (aws, listener) = (embedded.aws.clone(), duplicate_listener(&embedded.listener)?);
        tokio::spawn(async move { aws.serve(listener, pending()).await });
        Ok(Some(calls))
    }

    fn start_sidecar(&self, mount: &Mount, refusal_tx: &Sender<Refusal>) -> std::io::Result<Running> {
        let aws_changes = AwsChanges::default();
        let dependencies = Dependencies {
            identity: self.cloud.identity(),
            secrets: mount.path().to_owned(),
            endpoints: self.cloud.endpoints(),
            network: self.cloud.network(),
            region: None,
            clock: Arc::new(MachineClock::new()),
            aws_changes: aws_changes.clone(),
            drain: DRAIN,
            // The sidecar must not change the log level: it comes from the file, and `apply_edits` applies its edits.
            log: None,
        };
        let sidecar =
            Sidecar::new(self.function.current().config.clone(), dependencies).with_refusals(refusal_tx.clone());
        let (conditions, readiness, metrics) =
            (sidecar.conditions().subscribe(), sidecar.readiness(), sidecar.metrics());
        let (events, admin) = (duplicate_listener(&self.events)?, duplicate_listener(&self.admin)?);
        let (stop, stop_requested) = oneshot::channel();
        let shutdown = async {
            let _ = stop_requested.await;
        };
        let task = tokio::spawn(sidecar.run(events, admin, shutdown));
        Ok(Running { aws_changes, conditions, readiness, metrics, stop, task })
    }

    /// Applies edits of both files. Returns whether the sidecar must be rolled.
    fn apply_edits(&mut self, mount: &mut Mount, running: &Running) -> std::io::Result<bool> {
        match self.cloud.apply_edit() {
            Some(AccountsEdit::Applied) => {
                let message = "the accounts file's changes are applied; the sidecar requests a new session";
                self.console.print_labelled("edit", message);
                running.aws_changes.notify();
            }
            Some(AccountsEdit::Restored) => {
                let message = "the accounts file is valid again and applied; the sidecar requests a new session";
                self.console.print_labelled("fixed", message);
                running.aws_changes.notify();
            }
            Some(AccountsEdit::Invalid(error)) => {
                let message = format!("the accounts file: {error}; the embedded AWS continues unchanged");
                self.console.print_labelled("warning", &message);
            }
            None => {}
        }
        match self.function.read_edit() {
            Edit::None => return Ok(false),
            Edit::Invalid(error) => {
                let message = format!("the file: {error}; the function continues unchanged");
                self.console.print_labelled("warning", &message);
                return Ok(false);
            }
            Edit::Restored => {
                self.console.print_labelled("fixed", "the file is valid again");
                return Ok(false);
            }
            Edit::Secrets => {
                mount.write(self.function.current())?;
                self.console.print_labelled("edit", "the Secrets' changes are applied");
                return Ok(false);
            }
            Edit::Function => {}
        }
        mount.write(self.function.current())?;
        if let Some(log) = &self.log {
            log.set(targets(self.function.current().config.spec.log_level));
        }
        self.console.print_labelled("edit", "the function's changes are applied");
        self.console.print_dead_letter_location(self.function.current(), &self.cloud);
        self.print_notes();
        Ok(true)
    }

    /// Prints the notes on the function's file.
    fn print_notes(&mut self) {
        for note in &self.function.current().notes {
            self.console.print_labelled("note", note);
        }
    }

    /// Prints the file if the call stored the first object of events, or the first of dead letters. Returns whether no
    /// further call needs to be examined.
    fn print_first_objects(&mut self, call: &Call) -> bool {
        let Cloud::Embedded(embedded) = &self.cloud else { return true };
        let Some(file) = embedded.stored_file(call) else { return false };
        let dead_letters = self.function.current().config.spec.dead_letter_prefix();
        let is_dead_letter = dead_letters.zip(call.key.as_ref()).is_some_and(|(prefix, key)| key.starts_with(&prefix));
        self.console.print_if_first(&file, is_dead_letter)
    }
}

/// The next call of the embedded AWS. Skips the calls that were missed because this task was too slow; waits forever
/// without a subscription.
async fn next_call(calls: &mut Option<broadcast::Receiver<Arc<Call>>>) -> Arc<Call> {
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
fn duplicate_listener(socket: &TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    let socket = socket.try_clone()?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket)
}
