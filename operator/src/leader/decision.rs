//! Decides whether to create, take over or wait for the Lease. Pure.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;

use super::LEASE_DURATION;

/// The Lease as last observed, and the time on a monotonic clock since which it has been unchanged.
#[derive(Clone, Debug, Default)]
pub struct ObservedLease(Option<(Lease, Duration)>);

/// A candidate's next step to acquire the Lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It does not exist: create it.
    Create,
    /// It is free, expired, or left from an earlier run of this process: overwrite it, if it is still this version.
    Acquire(Box<Lease>),
    /// Another process holds it.
    Wait,
}

impl ObservedLease {
    /// Records the Lease as it is at `now`.
    pub fn observe(&mut self, lease: Option<Lease>, now: Duration) {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let unchanged = match (&self.0, &lease) {
            (Some((old, _)), Some(new)) => version(old) == version(new),
            _ => false,
        };
        if !unchanged {
            self.0 = lease.map(|lease| (lease, now));
        }
    }

    /// The next step of the candidate `identity` at `now`.
    pub fn step(&self, identity: &str, now: Duration) -> Step {
        let Some((lease, since)) = &self.0 else { return Step::Create };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(LEASE_DURATION, Duration::from_secs);
        // Identities are unique among running processes, so a Lease with our identity is from an earlier run.
        if holder.is_empty() || holder == identity || now >= *since + duration {
            return Step::Acquire(Box::new(lease.clone()));
        }
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::api::ObjectMeta;

    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_missing_lease_is_created() {
        let mut observed = ObservedLease::default();
        assert_eq!(observed.step("me", at(0)), Step::Create);
        observed.observe(Some(lease("other", "1")), at(1));
        observed.observe(None, at(2));
        assert_eq!(observed.step("me", at(2)), Step::Create);
    }

    #[test]
    fn a_free_lease_and_an_own_lease_are_taken_immediately() {
        for holder in ["", "me"] {
            let mut observed = ObservedLease::default();
            observed.observe(Some(lease(holder, "1")), at(5));
            assert_eq!(observed.step("me", at(5)), Step::Acquire(Box::new(lease(holder, "1"))));
        }
    }

    #[test]
    fn a_foreign_lease_is_taken_once_it_has_not_changed_for_its_duration() {
        let mut observed = ObservedLease::default();
        observed.observe(Some(lease("other", "1")), at(100));
        assert_eq!(observed.step("me", at(114)), Step::Wait);
        // Renewed: the time in the Lease does not matter.
        observed.observe(Some(lease("other", "2")), at(114));
        assert_eq!(observed.step("me", at(128)), Step::Wait);
        observed.observe(Some(lease("other", "2")), at(128));
        assert_eq!(observed.step("me", at(129)), Step::Acquire(Box::new(lease("other", "2"))));
    }
}
