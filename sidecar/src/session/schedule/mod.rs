//! Schedules the calls to STS: for a session, its renewal, retries with backoff and jitter, and probes of the role.
//! Pure.
//!
//! A call is due at a planned time, or earlier if traffic demands it. A demand never skips the backoff: each failure
//! sets the earliest time of the next demanded call, and after throttling that is the planned time. All times are
//! [`Clock::monotonic`](crate::clock::Clock::monotonic); `jitter` is a random number in 0..1 for the jitter.

use std::time::{Duration, SystemTime};

/// The requested duration of a session: one hour, the most that STS allows for role chaining, that is, if the base
/// identity is itself an assumed role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>
pub(crate) const SESSION_DURATION: Duration = Duration::from_secs(3600);

/// The shortest session duration that STS allows.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(crate) const MIN_SESSION_DURATION: Duration = Duration::from_secs(900);

/// Time between probes after a result that allows traffic.
const PROBE_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Time until the next probe while the last result, or the lack of one, holds traffic.
const HELD_PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Time until the next probe after a failed one, while an earlier result allows traffic.
const FAILED_PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum backoff of a demanded call, except after throttling: under traffic a recovery is noticed within it.
const MAX_DEMANDED_PAUSE: Duration = Duration::from_secs(10);

/// Maximum backoff without demand, while there is no live session.
const MAX_PAUSE_WITHOUT_SESSION: Duration = Duration::from_secs(30);

/// Maximum backoff after throttling, and without demand while a session lives.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Pause before a session that S3 has refused from the start is replaced, if it replaced a refused session itself.
/// Doubles each time, up to [`MAX_REFUSED_SESSION_PAUSE`].
const REFUSED_SESSION_PAUSE: Duration = Duration::from_secs(300);
const MAX_REFUSED_SESSION_PAUSE: Duration = Duration::from_secs(1800);

/// How a call failed, as far as the backoff depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// STS throttles.
    Throttled,
    /// Any other failure.
    Other,
}

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    /// A conclusive result that allows traffic.
    Settled,
    /// A conclusive result that holds traffic.
    Held,
    /// No result; `settled` is true if an earlier result allows traffic.
    Failed { kind: FailureKind, settled: bool },
}

/// The pauses after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Before a call that traffic demands.
    pub(crate) demanded: Duration,
    /// Before the call that is made without demand.
    pub(crate) unprompted: Duration,
}

/// The pauses after `failures` failures in a row, the last of this kind.
pub(crate) fn pause(failures: u32, kind: FailureKind, session_lives: bool, jitter: f64) -> Pause {
    let up_to = |longest| backoff(failures, longest, jitter);
    match kind {
        FailureKind::Throttled => Pause { demanded: up_to(MAX_PAUSE), unprompted: up_to(MAX_PAUSE) },
        FailureKind::Other => Pause {
            demanded: up_to(MAX_DEMANDED_PAUSE),
            unprompted: up_to(if session_lives { MAX_PAUSE } else { MAX_PAUSE_WITHOUT_SESSION }),
        },
    }
}

/// Exponential backoff: 1 s, doubled per failure up to `longest`, with jitter that takes off up to half.
fn backoff(failures: u32, longest: Duration, jitter: f64) -> Duration {
    jittered(doubled(Duration::from_secs(1), failures, longest), jitter)
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(longest)
}

fn jittered(duration: Duration, jitter: f64) -> Duration {
    duration.mul_f64(0.5 + 0.5 * jitter)
}

/// How long a session lives, to be measured on the monotonic clock.
///
/// The wall clock may be off by more than a session's life, so the expiry counts only if it gives a duration that STS
/// allows; otherwise the session has the requested duration.
pub(crate) fn lifetime(expiry: SystemTime, now: SystemTime) -> Duration {
    match expiry.duration_since(now) {
        Ok(left) if (MIN_SESSION_DURATION..SESSION_DURATION).contains(&left) => left,
        _ => SESSION_DURATION,
    }
}

/// Time until a session is renewed: half of its life, ±10 % at random, so sidecars that start together do not keep
/// renewing together.
fn renewal(lifetime: Duration, jitter: f64) -> Duration {
    lifetime.mul_f64(0.5 * (0.9 + 0.2 * jitter))
}

/// When one kind of call is due. Both times start at zero: due immediately.
#[derive(Debug, Default)]
struct CallTimes {
    /// Consecutive failures, for the backoff.
    failures: u32,
    due: Duration,
    /// The earliest time to which a demand can bring the call forward.
    demand_from: Duration,
}

impl CallTimes {
    fn demand(&mut self, from: Duration) {
        self.due = self.due.min(self.demand_from.max(from));
    }

    fn after(&mut self, now: Duration, pause: Pause) {
        self.due = now + pause.unprompted;
        self.demand_from = now + pause.demanded;
    }

    fn make_due(&mut self) {
        self.due = Duration::ZERO;
        self.demand_from = Duration::ZERO;
    }
}

/// Spaces out the replacement of sessions that S3 refuses before they have stored anything.
#[derive(Debug, Default)]
struct RefusedSessions {
    /// How many sessions in a row were requested because S3 refused the one before.
    replaced: u32,
    /// The earliest time of a replacement, as long as the session has stored nothing.
    replace_from: Duration,
}

/// The due times of all calls to STS.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    refresh: CallTimes,
    probe: CallTimes,
    /// After throttling, no call of any kind is due before this time.
    quiet_until: Duration,
    refused: RefusedSessions,
}

impl Schedule {
    /// When the next request for a session is due.
    pub(crate) fn refresh_due(&self) -> Duration {
        self.refresh.due.max(self.quiet_until)
    }

    /// When the next probe is due.
    pub(crate) fn probe_due(&self) -> Duration {
        self.probe.due.max(self.quiet_until)
    }

    /// Traffic demands a session, since none lives.
    pub(crate) fn demand_session(&mut self) {
        self.refresh.demand(Duration::ZERO);
    }

    /// Traffic demands a probe, since the last result, or the lack of one, holds it.
    pub(crate) fn demand_probe(&mut self) {
        self.probe.demand(Duration::ZERO);
    }

    /// Traffic demands a replacement, since S3 refuses the session. Returns false if it has to wait because S3 refused
    /// the session before as well: then a new session is unlikely to help, and is requested only rarely.
    pub(crate) fn demand_replacement(&mut self, has_stored: bool, now: Duration) -> bool {
        let from = if has_stored { Duration::ZERO } else { self.refused.replace_from };
        self.refresh.demand(from);
        from <= now
    }

    /// Makes both calls due immediately, despite earlier failures and throttling: the role or the external ID has changed.
    pub(crate) fn role_or_external_id_changed(&mut self) {
        self.refresh.make_due();
        self.probe.make_due();
        self.quiet_until = Duration::ZERO;
    }

    /// Records a new session. `replaced` is true if S3 had refused the previous one, `had_stored` if the previous one had
    /// stored anything.
    pub(crate) fn refreshed(
        &mut self,
        now: Duration,
        lifetime: Duration,
        replaced: bool,
        had_stored: bool,
        jitter: f64,
    ) {
        // A session that S3 refused counts as a failure, so a store that refuses every session causes backoff.
        let failures = if replaced { self.refresh.failures + 1 } else { 0 };
        let demand_from = if replaced { now + backoff(failures, MAX_DEMANDED_PAUSE, jitter) } else { Duration::ZERO };
        self.refresh = CallTimes { failures, due: now + renewal(lifetime, jitter), demand_from };
        let before = if had_stored { 0 } else { self.refused.replaced };
        let replaced = before + u32::from(replaced);
        // This jitter only lengthens the pause.
        let pause = doubled(REFUSED_SESSION_PAUSE, replaced, MAX_REFUSED_SESSION_PAUSE).mul_f64(1.0 + 0.2 * jitter);
        let replace_from = if replaced == 0 { Duration::ZERO } else { now + pause };
        self.refused = RefusedSessions { replaced, replace_from };
    }

    /// Records a failed request for a session.
    pub(crate) fn refresh_failed(&mut self, now: Duration, kind: FailureKind, session_lives: bool, jitter: f64) {
        self.refresh.failures += 1;
        let pause = pause(self.refresh.failures, kind, session_lives, jitter);
        self.refresh.after(now, pause);
        self.throttled(now, kind, pause);
    }

    /// Records the result of a probe.
    pub(crate) fn probed(&mut self, now: Duration, outcome: ProbeOutcome, jitter: f64) {
        if outcome == ProbeOutcome::Settled {
            let (due, demand_from) = (now + PROBE_INTERVAL, now + PROBE_INTERVAL);
            self.probe = CallTimes { failures: 0, due, demand_from };
            return;
        }
        self.probe.failures += 1;
        let failures = self.probe.failures;
        let (kind, interval) = match outcome {
            ProbeOutcome::Failed { kind, settled: true } => (kind, FAILED_PROBE_INTERVAL),
            ProbeOutcome::Failed { kind, settled: false } => (kind, HELD_PROBE_INTERVAL),
            ProbeOutcome::Settled | ProbeOutcome::Held => (FailureKind::Other, HELD_PROBE_INTERVAL),
        };
        // A probe makes up to two calls, so its backoff starts one step further.
        let mut pause = pause(failures + 1, kind, true, jitter);
        if kind == FailureKind::Other {
            pause.unprompted = jittered(interval, jitter);
        }
        self.probe.after(now, pause);
        self.throttled(now, kind, pause);
    }

    fn throttled(&mut self, now: Duration, kind: FailureKind, pause: Pause) {
        if kind == FailureKind::Throttled {
            self.quiet_until = now + pause.unprompted;
        }
    }
}

#[cfg(test)]
mod tests;
