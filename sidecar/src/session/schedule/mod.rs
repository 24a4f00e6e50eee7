//! When STS is called: for a session, to renew it, again after a failure, and to probe the role. Pure.
//!
//! Two things bring a call about: time, and traffic that can't go on without it. Traffic may bring a
//! call forward, but never past the backoff: each failure says how soon traffic may have the next
//! call, and after throttling that is no sooner than without traffic. Times are the clock's
//! `monotonic`; `dice` is in 0..1.

use std::time::{Duration, SystemTime};

/// What a session is asked for: an hour is the most that STS gives to a role assumed from a role,
/// which is what a sidecar's base identity always is.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>
pub(crate) const SESSION_DURATION: Duration = Duration::from_secs(3600);

/// The shortest session that STS gives.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(crate) const MIN_SESSION_DURATION: Duration = Duration::from_secs(900);

/// How often the role is probed whose answer is known.
const PROBE_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// How soon the role is probed again while traffic is held because of what is known, or not known, of it.
const HELD_PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// How soon the role is probed again after a probe that told nothing new.
const FAILED_PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// The longest pause after failures for a call that traffic asks for: a fault is seen to be over
/// within it.
const MAX_DEMANDED_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause without traffic, while no session lives.
const MAX_PAUSE_WITHOUT_SESSION: Duration = Duration::from_secs(30);

/// The longest pause after throttling, and while a session lives.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How soon a session is replaced that S3 has refused from the start, when the one before it was
/// replaced for the same reason: the first pause, doubled each time, and the longest.
const REFUSED_SESSION_PAUSE: Duration = Duration::from_secs(300);
const MAX_REFUSED_SESSION_PAUSE: Duration = Duration::from_secs(1800);

/// How a call failed, as far as the time of the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// STS asks for fewer calls.
    Throttled,
    /// Anything else.
    Other,
}

/// What a probe found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    /// An answer that lets traffic through.
    Settled,
    /// An answer that holds traffic.
    Held,
    /// No answer; `settled` says whether an earlier one lets traffic through.
    Failed { kind: FailureKind, settled: bool },
}

/// How long to wait after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// For a call that traffic asks for.
    pub(crate) demanded: Duration,
    /// For the call that comes in any case.
    pub(crate) unprompted: Duration,
}

/// The pause after the `failures`th failure in a row, of this kind.
pub(crate) fn pause(failures: u32, kind: FailureKind, session_lives: bool, dice: f64) -> Pause {
    let up_to = |longest| backoff(failures, longest, dice);
    match kind {
        FailureKind::Throttled => Pause { demanded: up_to(MAX_PAUSE), unprompted: up_to(MAX_PAUSE) },
        FailureKind::Other => Pause {
            demanded: up_to(MAX_DEMANDED_PAUSE),
            unprompted: up_to(if session_lives { MAX_PAUSE } else { MAX_PAUSE_WITHOUT_SESSION }),
        },
    }
}

/// Doubling from 1 s, half of it by chance.
fn backoff(failures: u32, longest: Duration, dice: f64) -> Duration {
    jittered(doubled(Duration::from_secs(1), failures, longest), dice)
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(longest)
}

fn jittered(duration: Duration, dice: f64) -> Duration {
    duration.mul_f64(0.5 + 0.5 * dice)
}

/// How long a session will live by our own clock.
///
/// The wall clock may be wrong by more than a session's life, so the expiry counts only where it
/// makes sense; otherwise the session lives for what it was asked for.
pub(crate) fn lifetime(expiry: SystemTime, now: SystemTime) -> Duration {
    match expiry.duration_since(now) {
        Ok(left) if (MIN_SESSION_DURATION..SESSION_DURATION).contains(&left) => left,
        _ => SESSION_DURATION,
    }
}

/// When to renew a session of this life: at half of it, give or take a tenth, so that sidecars
/// started together do not stay together.
fn renewal(lifetime: Duration, dice: f64) -> Duration {
    lifetime.mul_f64(0.5 * (0.9 + 0.2 * dice))
}

/// When one kind of call is due. Both times are zero at first: at once.
#[derive(Debug, Default)]
struct CallTimes {
    /// Failures in a row.
    failures: u32,
    due: Duration,
    /// When it may be due at the earliest because traffic asks for it.
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

    fn at_once(&mut self) {
        self.due = Duration::ZERO;
        self.demand_from = Duration::ZERO;
    }
}

/// Sessions that S3 refused before they had stored anything.
#[derive(Debug, Default)]
struct RefusedSessions {
    /// How many sessions in a row were asked for because S3 had refused the one before.
    replaced: u32,
    /// When the session may be replaced, as long as it has stored nothing.
    replace_from: Duration,
}

/// Everything about the times of calls.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    refresh: CallTimes,
    probe: CallTimes,
    /// STS asked for fewer calls: until then there is none of any kind.
    quiet_until: Duration,
    refused: RefusedSessions,
}

impl Schedule {
    /// When the next session is asked for.
    pub(crate) fn refresh_due(&self) -> Duration {
        self.refresh.due.max(self.quiet_until)
    }

    /// When the role is probed next.
    pub(crate) fn probe_due(&self) -> Duration {
        self.probe.due.max(self.quiet_until)
    }

    /// Traffic waits for a first session.
    pub(crate) fn demand_session(&mut self) {
        self.refresh.demand(Duration::ZERO);
    }

    /// Traffic waits for a probe to let it through.
    pub(crate) fn demand_probe(&mut self) {
        self.probe.demand(Duration::ZERO);
    }

    /// S3 refuses the session. False if that is no news, since it has refused the session before
    /// that, too: then only a person can help, and another session is asked for only now and then.
    pub(crate) fn demand_replacement(&mut self, has_stored: bool, now: Duration) -> bool {
        let from = if has_stored { Duration::ZERO } else { self.refused.replace_from };
        self.refresh.demand(from);
        from <= now
    }

    /// The role or the external ID has changed: whatever was refused or throttled before, this is tried once.
    pub(crate) fn role_or_external_id_changed(&mut self) {
        self.refresh.at_once();
        self.probe.at_once();
        self.quiet_until = Duration::ZERO;
    }

    /// There is a new session. `replaced` says whether S3 had refused the one before, `had_stored`
    /// whether that had stored something.
    pub(crate) fn refreshed(&mut self, now: Duration, lifetime: Duration, replaced: bool, had_stored: bool, dice: f64) {
        // A session that did not last is as good as none: those of a store that refuses one after
        // the other are spaced out as failures are.
        let failures = if replaced { self.refresh.failures + 1 } else { 0 };
        let demand_from = if replaced { now + backoff(failures, MAX_DEMANDED_PAUSE, dice) } else { Duration::ZERO };
        self.refresh = CallTimes { failures, due: now + renewal(lifetime, dice), demand_from };
        let before = if had_stored { 0 } else { self.refused.replaced };
        let replaced = before + u32::from(replaced);
        // By chance longer, not shorter.
        let pause = doubled(REFUSED_SESSION_PAUSE, replaced, MAX_REFUSED_SESSION_PAUSE).mul_f64(1.0 + 0.2 * dice);
        let replace_from = if replaced == 0 { Duration::ZERO } else { now + pause };
        self.refused = RefusedSessions { replaced, replace_from };
    }

    /// There is no new session.
    pub(crate) fn refresh_failed(&mut self, now: Duration, kind: FailureKind, session_lives: bool, dice: f64) {
        self.refresh.failures += 1;
        let pause = pause(self.refresh.failures, kind, session_lives, dice);
        self.refresh.after(now, pause);
        self.throttled(now, kind, pause);
    }

    /// The role was probed.
    pub(crate) fn probed(&mut self, now: Duration, outcome: ProbeOutcome, dice: f64) {
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
        // A probe is up to two calls.
        let mut pause = pause(failures + 1, kind, true, dice);
        if kind == FailureKind::Other {
            pause.unprompted = jittered(interval, dice);
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
