//! Whether uploads are worth trying. Pure.
//!
//! A fault that time alone does not mend (no such bucket, no permission), or one for which nothing
//! was stored for as long as a request waits, closes the gate: requests are answered at once with what is wrong, instead
//! of each finding out for itself, and one every [`PROBE_EVERY`] is let through to try again.
//! Whatever it stores opens the gate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::conditions::Blocker;

/// How often somebody tries again.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// The gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Whether there is a fault: read by every upload, without the lock.
    closed: AtomicBool,
    fault: Mutex<Option<Fault>>,
}

#[derive(Debug)]
struct Fault {
    blocker: Blocker,
    next_probe: Instant,
}

impl Gate {
    /// Asks to pass; a refusal says what is wrong.
    pub(crate) fn pass(&self, now: Instant) -> Result<(), Blocker> {
        if !self.is_closed() {
            return Ok(());
        }
        let mut fault = self.lock();
        match fault.as_mut() {
            None => Ok(()),
            Some(fault) if now >= fault.next_probe => {
                fault.next_probe = now + PROBE_EVERY;
                Ok(())
            }
            Some(fault) => Err(fault.blocker.clone()),
        }
    }

    /// Whether there is a fault.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What is wrong, if anything is.
    pub(crate) fn blocker(&self) -> Option<Blocker> {
        self.lock().as_ref().map(|fault| fault.blocker.clone())
    }

    /// Something was stored, or the fault is seen mended.
    pub(crate) fn open(&self) {
        if self.is_closed() {
            let mut fault = self.lock();
            *fault = None;
            self.closed.store(false, Ordering::Release);
        }
    }

    /// Nothing can be stored.
    pub(crate) fn close(&self, blocker: Blocker, now: Instant) {
        let mut fault = self.lock();
        *fault = Some(Fault { blocker, next_probe: now + PROBE_EVERY });
        self.closed.store(true, Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        // The lock is never held across anything that could panic.
        self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tributary_crds::conditions::Reason;

    use super::*;

    #[test]
    fn a_closed_gate_lets_one_through_every_two_seconds_until_something_is_stored() {
        let gate = Gate::default();
        let start = Instant::now();
        assert_eq!(gate.pass(start), Ok(()));
        let blocker = Blocker { reason: Reason::NoSuchBucket, message: "gone".to_owned() };
        gate.close(blocker.clone(), start);
        assert_eq!(gate.pass(start), Err(blocker.clone()));
        let later = start + PROBE_EVERY;
        assert_eq!(gate.pass(later), Ok(()));
        assert_eq!(gate.pass(later), Err(blocker.clone()));
        assert_eq!(gate.blocker(), Some(blocker));
        gate.open();
        assert_eq!(gate.blocker(), None);
        assert_eq!(gate.pass(later), Ok(()));
    }
}
