//! Builds the schema that documents are validated against: the CRD's, and the fields that every resource has.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

static SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(|| {
    let mut versions = crate::custom_resource_definition().spec.versions.into_iter();
    let schema = versions.next().and_then(|version| version.schema).and_then(|schema| schema.open_api_v3_schema);
    let mut schema = schema.expect("a derived definition has one version with a schema");
    let every_resource = schema.properties.get_or_insert_default();
    for (field, of_field) in [("apiVersion", one_of(API_VERSION)), ("kind", one_of(KIND)), ("metadata", metadata())] {
        every_resource.insert(field.to_owned(), serde_json::from_value(of_field).expect("a constant schema"));
    }
    schema.required.get_or_insert_default().extend(["apiVersion", "kind", "metadata"].map(str::to_owned));
    schema
});

const API_VERSION: &str = "tributary.dev/v1alpha1";
const KIND: &str = "DestinationFunction";

/// The schema of a whole document.
pub(super) fn schema() -> &'static JSONSchemaProps {
    &SCHEMA
}

fn one_of(only: &str) -> Value {
    json!({"type": "string", "enum": [only]})
}

/// The schema of `ObjectMeta`: strict for fields that people write, open for fields that the API server sets.
fn metadata() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let any = json!({"x-kubernetes-preserve-unknown-fields": true});
    json!({
        "type": "object",
        // `kubectl apply` refuses a document that has only a generateName.
        "required": ["name"],
        "properties": {
            "annotations": texts,
            "creationTimestamp": any,
            "deletionGracePeriodSeconds": any,
            "deletionTimestamp": any,
            "finalizers": {"type": "array", "items": text},
            "generateName": text,
            "generation": any,
            "labels": texts,
            "managedFields": any,
            "name": text,
            "namespace": text,
            "ownerReferences": any,
            "resourceVersion": any,
            "selfLink": any,
            "uid": any,
        },
    })
}
