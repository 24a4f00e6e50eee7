//! When a session is renewed, and when a failed renewal is tried again. Pure.

use std::time::{Duration, SystemTime};

/// What a session is asked for: an hour is the most that STS gives to a role assumed from a role,
/// which is what a sidecar's base identity always is.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>
pub(crate) const SESSION: Duration = Duration::from_secs(3600);

/// The least time between two calls that traffic asks for.
pub(crate) const SPACING: Duration = Duration::from_secs(2);

/// While the role is given away without the ID, and traffic held for it: how soon that is probed again.
pub(crate) const PROBE_AGAIN: Duration = Duration::from_secs(15);

/// How often the enforcement is probed otherwise.
pub(crate) const PROBE: Duration = Duration::from_secs(6 * 3600);

/// After a probe that told nothing.
pub(crate) const PROBE_RETRY: Duration = Duration::from_secs(60);

/// The longest wait after a failure, while a session still lives and while none does.
const PATIENT: Duration = Duration::from_secs(60);
const EAGER: Duration = Duration::from_secs(30);

/// How long a session will live by our own clock.
///
/// The wall clock may be wrong by more than a session's life, so the expiry counts only where it
/// makes sense; otherwise the session lives for what it was asked for.
pub(crate) fn lifetime(expiry: SystemTime, now: SystemTime) -> Duration {
    match expiry.duration_since(now) {
        Ok(left) if left < SESSION && !left.is_zero() => left,
        _ => SESSION,
    }
}

/// When to renew a session of this life: at half of it, give or take a tenth, so that sidecars
/// started together do not stay together. `dice` is in 0..1.
pub(crate) fn renewal(lifetime: Duration, dice: f64) -> Duration {
    lifetime.mul_f64(0.5 * (0.9 + 0.2 * dice))
}

/// How long to wait after the `failures`th failure in a row: doubling from 1 s, half of it by chance.
pub(crate) fn backoff(failures: u32, session_lives: bool, dice: f64) -> Duration {
    let longest = if session_lives { PATIENT } else { EAGER };
    let full = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(longest);
    full.mul_f64(0.5 + 0.5 * dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_session_is_renewed_at_half_its_life_give_or_take_a_tenth() {
        assert_eq!(renewal(SESSION, 0.0), Duration::from_secs(27 * 60));
        assert_eq!(renewal(SESSION, 0.5), Duration::from_secs(30 * 60));
        assert_eq!(renewal(SESSION, 1.0), Duration::from_secs(33 * 60));
    }

    #[test]
    fn a_wrong_wall_clock_neither_shortens_a_session_to_nothing_nor_lengthens_it() {
        let noon = NOON + Duration::from_secs(12 * 3600);
        assert_eq!(lifetime(noon + SESSION, noon), SESSION);
        assert_eq!(lifetime(noon + Duration::from_secs(900), noon), Duration::from_secs(900));
        assert_eq!(lifetime(noon, noon + Duration::from_secs(7200)), SESSION);
        assert_eq!(lifetime(noon + SESSION, noon - Duration::from_secs(7200)), SESSION);
    }

    #[test]
    fn failures_are_spaced_out_but_never_given_up() {
        assert_eq!(backoff(1, false, 1.0), Duration::from_secs(1));
        assert_eq!(backoff(3, false, 0.0), Duration::from_secs(2));
        assert_eq!(backoff(40, false, 1.0), EAGER);
        assert_eq!(backoff(40, true, 1.0), PATIENT);
    }
}
