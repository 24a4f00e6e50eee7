//! Writes functions' statuses when they have changed, and reports the changes by log and Events.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::discovery::ApiResource;
use kube::{Client, ResourceExt};
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;
use tracing::{info, warn};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::FunctionStatus;

use super::events::Events;
use super::function_status::{self, Change, OpenFaults};
use crate::api_error::error_text;
use crate::function::FunctionRef;
use crate::names::MANAGER;
use crate::observe::Observed;
use crate::resource_version::number;

/// Minimum time between two writes of a status of which only messages changed.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(60);

/// Writes statuses, and publishes Events about changed conditions.
pub struct StatusWriter {
    client: Client,
    events: Events,
    /// The last write per function. The cache may lag behind it, which would cause a second, equal write.
    written: Mutex<HashMap<FunctionRef, Written>>,
}

/// What [`StatusWriter::write`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusWrite {
    /// Nothing: the status does not differ, or the function is gone.
    Unchanged,
    /// It has written the status.
    Written,
    /// Nothing: only messages differ, which are written after this time.
    Later(Duration),
}

#[derive(Clone, Debug)]
struct Written {
    uid: Option<String>,
    resource_version: Option<String>,
    status: FunctionStatus,
    /// When a status of which only messages changed was written last.
    messages_at: Option<Instant>,
    /// The open faults after this status.
    open_faults: OpenFaults,
}

impl StatusWriter {
    /// Writes statuses with `client`, and Events with `events`.
    pub fn new(client: Client, events: Events) -> Self {
        Self { client, events, written: Mutex::default() }
    }

    /// Writes the status for `observed`, if it differs from `before`, the function's [`current`](Self::current) one.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer.
    pub async fn write(
        &self,
        function: &DestinationFunction,
        reference: &FunctionRef,
        observed: &Observed,
        selector: String,
        before: Option<&FunctionStatus>,
    ) -> kube::Result<StatusWrite> {
        let after = function_status::status(observed, function.metadata.generation, selector, before, Timestamp::now());
        let last = self.last(function, reference);
        let mut messages_at = last.as_ref().and_then(|last| last.messages_at);
        let open_faults = last.map(|last| last.open_faults).unwrap_or_default();
        let open_faults = open_faults.updated(before.map(|before| before.conditions.as_slice()).unwrap_or_default());
        let changed = match function_status::changes(before, &after, &open_faults) {
            Change::None => return Ok(StatusWrite::Unchanged),
            Change::Messages => {
                let since = messages_at.map_or(MESSAGE_INTERVAL, |at| at.elapsed());
                if since < MESSAGE_INTERVAL {
                    return Ok(StatusWrite::Later(MESSAGE_INTERVAL - since));
                }
                messages_at = Some(Instant::now());
                Vec::new()
            }
            Change::Conditions(changed) => changed,
        };
        let api: Api<DestinationFunction> = Api::namespaced(self.client.clone(), &reference.namespace);
        let body = json!({
            "apiVersion": "tributary.dev/v1alpha1",
            "kind": "DestinationFunction",
            // The API server refuses the write if the function was re-created in the meantime.
            "metadata": {"uid": function.uid()},
            "status": after,
        });
        let params = PatchParams::apply(MANAGER).force();
        match api.patch_status(&reference.name, &params, &Patch::Apply(body)).await {
            Ok(written) => {
                let open_faults = open_faults.updated(&after.conditions);
                let (uid, resource_version) = (written.uid(), written.resource_version());
                let note = Written { uid, resource_version, status: after, messages_at, open_faults };
                self.lock().insert(reference.clone(), note);
            }
            // The function was deleted in the meantime, or re-created.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                return Ok(StatusWrite::Unchanged);
            }
            Err(error) => return Err(error),
        }
        changed.iter().for_each(|condition| log(reference, condition));
        self.events.publish(function, &changed).await;
        Ok(StatusWrite::Written)
    }

    /// The function's current status: the last one written, if the cache lags behind it.
    pub fn current(&self, function: &DestinationFunction, reference: &FunctionRef) -> Option<FunctionStatus> {
        match self.last(function, reference) {
            Some(last) if is_behind(function, &last) => Some(last.status),
            _ => function.status.clone(),
        }
    }

    fn last(&self, function: &DestinationFunction, reference: &FunctionRef) -> Option<Written> {
        self.lock().get(reference).cloned().filter(|last| last.uid == function.uid())
    }

    /// Writes the status of a function that can't be deserialized: its schema has changed. A failure is only logged.
    pub async fn write_invalid(&self, reference: &FunctionRef, invalid: &InvalidObject) {
        warn!(function = %reference, error = invalid.error, "this function can't be parsed and is left unchanged");
        let message = format!(
            "the operator can't parse this function, which was stored under another version's schema: {}; apply it again",
            invalid.error
        );
        let condition = |r#type: &str| {
            json!({
                "type": r#type,
                "status": "False",
                "reason": "Invalid",
                "message": message,
                "observedGeneration": invalid.metadata.generation,
                "lastTransitionTime": invalid.metadata.creation_timestamp,
            })
        };
        let body = json!({
            "apiVersion": "tributary.dev/v1alpha1",
            "kind": "DestinationFunction",
            "metadata": {"uid": invalid.metadata.uid},
            "status": {"conditions": [condition("Ready"), condition("Accepted")]},
        });
        let resource = ApiResource::erase::<DestinationFunction>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &reference.namespace, &resource);
        let params = PatchParams::apply(MANAGER).force();
        if let Err(error) = api.patch_status(&reference.name, &params, &Patch::Apply(body)).await {
            warn!(function = %reference, error = error_text(&error), "its status can't be written either");
        }
    }

    /// Drops the last write of a deleted function.
    pub fn forget(&self, reference: &FunctionRef) {
        self.lock().remove(reference);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, Written>> {
        self.written.lock()
    }
}

/// Logs a changed condition, as its Event reports it.
fn log(function: &FunctionRef, condition: &Condition) {
    let Condition { type_, status, reason, message, .. } = condition;
    if function_status::needs_a_person(condition) {
        warn!(%function, condition = type_, status, reason, "{message}");
    } else {
        info!(%function, condition = type_, status, reason, "{message}");
    }
}

/// Whether the cached function is older than the last write.
fn is_behind(function: &DestinationFunction, last: &Written) -> bool {
    let cached = function.metadata.resource_version.as_deref();
    match (number(cached), number(last.resource_version.as_deref())) {
        (Some(cached), Some(written)) => cached < written,
        _ => false,
    }
}
