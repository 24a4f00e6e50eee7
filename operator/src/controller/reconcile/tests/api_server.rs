//! An API server in memory: it stores what is written and records each request.
//!
//! An apply is merged into the object. There are no defaults, and of managed fields only the entry of a POST: tests on a
//! real control plane (`tests/tests/operator`) cover the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::names::MANAGER;

/// Clones share the contents.
#[derive(Clone, Default)]
pub struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By path, without subresources.
    objects: BTreeMap<String, Value>,
    requests: Vec<String>,
    /// The method and the plural that is refused, with the answer.
    refused: Option<(Method, &'static str, (StatusCode, Value))>,
    /// The plural whose spec a mutating webhook changes, with its merge patch.
    mutated: Option<(&'static str, Value)>,
    /// The sidecar's image of the chart's admission policy, if it is installed.
    admitted_image: Option<&'static str>,
    version: u64,
}

impl ApiServer {
    /// A client of it.
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let (status, answer) = server.answer(&parts.method, parts.uri.path(), &body);
                let answer = Full::new(Bytes::from(answer.to_string()));
                Ok::<_, hyper::Error>(Response::builder().status(status).body(answer).expect("a response"))
            }
        });
        Client::new(service, "default")
    }

    /// Stores an object at this path.
    pub fn put(&self, path: &str, mut object: Value) {
        let mut state = self.0.lock();
        object["metadata"]["resourceVersion"] = json!(state.next_version());
        state.objects.insert(path.to_owned(), object);
    }

    /// The requests since the last call, as `METHOD plural/name[/subresource]`, with ` (metadata)` after a PATCH of the
    /// metadata alone.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().requests)
    }

    /// All objects of this plural.
    pub fn objects(&self, plural: &str) -> Vec<Value> {
        let state = self.0.lock();
        let of_plural = state.objects.iter().filter(|(path, _)| short(path).starts_with(&format!("{plural}/")));
        of_plural.map(|(_, object)| object.clone()).collect()
    }

    /// Changes the only object of this plural, as another client would.
    pub fn edit(&self, plural: &str, patch: &Value) {
        let mut state = self.0.lock();
        let version = state.next_version();
        let mut of_plural = state.objects.iter_mut().filter(|(path, _)| short(path).starts_with(&format!("{plural}/")));
        let (_, object) = of_plural.next().expect("an object");
        merge(object, patch);
        object["metadata"]["resourceVersion"] = json!(version);
    }

    /// Deletes an object, as another client would.
    pub fn remove(&self, path: &str) {
        self.0.lock().objects.remove(path).expect("an object");
    }

    /// Refuses requests of this method for this plural with this status and message.
    pub fn refuse(&self, method: Method, plural: &'static str, code: u16, message: &str) {
        self.0.lock().refused = Some((method, plural, failure(code, "Forbidden", message)));
    }

    /// Refuses nothing any more.
    pub fn accept(&self) {
        self.0.lock().refused = None;
    }

    /// Admits only Deployments with this image or an image that the live one has or records, as the chart's policy
    /// (`policy/operator.yaml`) does for the operator's account.
    pub fn admit_image(&self, image: &'static str) {
        self.0.lock().admitted_image = Some(image);
    }

    /// Changes every object of this plural that is written with a spec, as a mutating webhook does.
    pub fn mutate(&self, plural: &'static str, patch: Value) {
        self.0.lock().mutated = Some((plural, patch));
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.0.lock();
        let mut written: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_of_metadata = written.as_object().is_some_and(|fields| fields.keys().eq(["metadata"]));
        let which = if *method == Method::PATCH && is_of_metadata { " (metadata)" } else { "" };
        state.requests.push(format!("{method} {}{which}", short(path)));
        let is_refused =
            |(refused, plural, _): &&(Method, &str, _)| refused == method && short(path).starts_with(plural);
        if let Some((_, _, refusal)) = state.refused.as_ref().filter(is_refused) {
            return refusal.clone();
        }
        let version = state.next_version();
        let webhook = state.mutated.clone().filter(|(plural, _)| short(path).starts_with(plural));
        let (path, subresource) = match path.rsplit_once('/') {
            Some((path, name @ ("status" | "scale"))) => (path, Some(name)),
            _ => (path, None),
        };
        match *method {
            Method::POST => {
                let name = written["metadata"]["name"].as_str().unwrap_or("generated").to_owned();
                if state.objects.contains_key(&format!("{path}/{name}")) {
                    return failure(409, "AlreadyExists", "already exists");
                }
                written["metadata"]["uid"] = json!(format!("uid-{version}"));
                written["metadata"]["generation"] = json!(1);
                written["metadata"]["resourceVersion"] = json!(version);
                let entry =
                    json!({"manager": MANAGER, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {}});
                written["metadata"]["managedFields"] = json!([entry]);
                state.objects.insert(format!("{path}/{name}"), written.clone());
                (StatusCode::CREATED, written)
            }
            Method::PATCH => {
                let admitted_image = state.admitted_image;
                let Some(object) = state.objects.get_mut(path) else { return missing() };
                if let Some(image) = admitted_image.filter(|_| short(path).starts_with("deployments")) {
                    let (mut admitted, mut changed) = (images(object), object.clone());
                    admitted.push(json!(image));
                    merge(&mut changed, &written);
                    if !images(&changed).iter().all(|image| admitted.contains(image)) {
                        return failure(422, "Invalid", "the operator runs only the sidecar's image");
                    }
                }
                if subresource == Some("status") {
                    object["status"] = written["status"].clone();
                } else {
                    let spec = object["spec"].clone();
                    merge(object, &written);
                    if let Some((_, patch)) = webhook.filter(|_| !is_of_metadata) {
                        merge(object, &patch);
                    }
                    if object["spec"] != spec {
                        let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
                        object["metadata"]["generation"] = json!(generation + 1);
                    }
                }
                object["metadata"]["resourceVersion"] = json!(version);
                (StatusCode::OK, object.clone())
            }
            Method::DELETE => match state.objects.remove(path) {
                Some(object) => (StatusCode::OK, object),
                None => missing(),
            },
            _ => match state.objects.get(path) {
                Some(object) => (StatusCode::OK, object.clone()),
                None => missing(),
            },
        }
    }
}

impl State {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }
}

fn missing() -> (StatusCode, Value) {
    failure(404, "NotFound", "not found")
}

fn failure(code: u16, reason: &str, message: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": message});
    (StatusCode::from_u16(code).expect("a status"), status)
}

/// The images that a Deployment has or records.
fn images(deployment: &Value) -> Vec<Value> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    let recorded = deployment["metadata"]["annotations"].get("tributary.dev/image").cloned();
    containers.map(|container| container["image"].clone()).chain(recorded).collect()
}

/// The part of a path after the namespace.
fn short(path: &str) -> &str {
    path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/')).map_or(path, |(_, rest)| rest)
}

/// A JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().expect("an object").remove(name);
        } else if value.as_object().is_some_and(serde_json::Map::is_empty) && target.get(name).is_none() {
            // The API server stores no empty map (`omitempty`).
        } else {
            merge(&mut target[name], value);
        }
    }
}
