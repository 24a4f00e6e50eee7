//! Stores dead letters: the events that were rejected as invalid, so that their owner can look at them, correct the
//! client and send them again.
//!
//! They are stored before the valid events of their request, and the request is answered only then: a rejected event is
//! never reported and lost. A key is a hash of what its object holds ([`letters`]), so a request that is sent again, because
//! its valid events could not be stored, adds no dead letter. [`report`] shows them in a condition.

mod letters;
mod report;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tributary_crds::function::{DeliveryMode, DestinationFunctionSpec};

use self::letters::{Grouping, Letter};
use self::report::Report;
use super::health::KeyPart;
use super::s3::Object;
use super::upload::Uploads;
use super::{NotStored, concurrent};
use crate::event::Rejected;
use crate::memory::Reservation;
use crate::status::conditions::Conditions;
use crate::status::metrics::Metrics;

pub(crate) use self::letters::Letters;

/// Stores the rejected events of one function.
#[derive(Debug)]
pub(super) struct DeadLetters {
    /// The prefix of all their keys, that of the function included.
    prefix: String,
    grouping: Grouping,
    uploads: Arc<Uploads>,
    metrics: Arc<Metrics>,
    report: Report,
}

impl DeadLetters {
    /// `None` if the function does not store dead letters.
    pub(super) fn new(
        spec: &DestinationFunctionSpec,
        uploads: Arc<Uploads>,
        conditions: Arc<Conditions>,
        metrics: Arc<Metrics>,
    ) -> Option<Self> {
        let prefix = spec.dead_letter_prefix()?;
        let grouping = match spec.delivery.mode {
            DeliveryMode::Object => Grouping::PerEvent,
            DeliveryMode::Batch => Grouping::PerRequest,
        };
        let report = Report::new(format!("s3://{}/{prefix}", spec.s3.bucket), conditions);
        Some(Self { prefix, grouping, uploads, metrics, report })
    }

    /// The dead letters of a request's rejected events, with the memory for them: from the same budget as
    /// `reservation`; `None` if that has too little left.
    pub(super) fn letters(
        &self,
        rejected: &[Rejected<'_>],
        path: &'static str,
        rejected_at: Timestamp,
        reservation: &Reservation,
    ) -> Option<Letters> {
        Letters::new(rejected, path, rejected_at, self.grouping, reservation.another())
    }

    /// Stores all dead letters of a request, or returns by `deadline` why it could not.
    pub(super) async fn store(&self, mut letters: Letters, deadline: Instant) -> Result<(), NotStored> {
        if !letters.reservation.grow(concurrent::memory_bytes(letters.all.len())) {
            return Err(NotStored::OutOfMemory);
        }
        concurrent::all(letters.all.iter().map(|(hash, letter)| self.store_one(hash, letter, deadline))).await?;
        self.report.rejected(&letters.codes, Instant::now());
        Ok(())
    }

    async fn store_one(&self, hash: &str, letter: &Letter, deadline: Instant) -> Result<(), NotStored> {
        let part = KeyPart::DEAD_LETTERS;
        self.uploads.admit(std::iter::once(part).collect(), deadline).await?;
        let object = Object {
            key: format!("{}{hash}.ndjson", self.prefix),
            is_new: false,
            part: Some(part),
            body: letter.body.clone(),
            content_type: "application/x-ndjson",
        };
        self.uploads.upload(&object, deadline).await?;
        self.metrics.dead_letters_stored(letter.events);
        Ok(())
    }

    /// Forgets old rejections in the condition.
    pub(super) fn settle(&self) {
        self.report.settle(Instant::now());
    }
}
