//! Builds the volumes of a sidecar: configuration, Secrets, base identity.
//!
//! Secrets are `optional`: a pod starts without them and reports which one is missing. They are mounted
//! whole, not by subPath or into the environment, because the kubelet updates only whole volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, ProjectedVolumeSource, SecretVolumeSource, ServiceAccountTokenProjection, Volume,
    VolumeMount, VolumeProjection,
};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::values::SecretName;

use super::child_meta::ChildMeta;
use super::config_map;
use crate::platform::BaseIdentity;

/// The folder of the sidecar's configuration (its flag `--config`).
const CONFIG_DIR: &str = "/etc/tributary";
/// The folder of the function's Secrets (the sidecar's flag `--secrets-dir`).
const SECRETS_DIR: &str = "/var/run/secrets/tributary";
/// The folder of the base identity's credentials.
const BASE_IDENTITY_DIR: &str = "/var/run/secrets/aws";
/// The key of a base identity's Secret, which holds AWS's shared credentials file.
const CREDENTIALS_KEY: &str = "credentials";
/// The file name of a base identity's token.
const TOKEN_FILE: &str = "token";
/// The token's audience.
const TOKEN_AUDIENCE: &str = "sts.amazonaws.com";
/// The token's lifetime in seconds, as EKS's webhook sets it. The kubelet renews it in time.
const TOKEN_LIFETIME_SECONDS: i64 = 86_400;
/// Mode of mounted files: only root and the pod's group can read them.
const FILE_MODE: i32 = 0o440;

/// Volumes, and their read-only mounts.
#[derive(Clone, Debug)]
pub struct Mounts {
    /// The pod's volumes, each once.
    pub volumes: Vec<Volume>,
    /// The sidecar's mounts; a volume may have several.
    pub mounts: Vec<VolumeMount>,
}

impl Mounts {
    fn add(&mut self, volume: Volume, path: &str) {
        self.mount(&volume.name, path);
        self.volumes.push(volume);
    }

    fn mount(&mut self, name: &str, path: &str) {
        self.mounts.push(VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
}

/// The volumes and mounts of the function's sidecars.
pub fn mounts(meta: &ChildMeta, spec: &DestinationFunctionSpec, config_hash: &str, identity: &BaseIdentity) -> Mounts {
    let mut all = Mounts { volumes: Vec::new(), mounts: Vec::new() };
    let function = Volume {
        name: "function".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map::name(&meta.name, config_hash),
            default_mode: Some(FILE_MODE),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    all.add(function, CONFIG_DIR);
    // A Secret with several uses is one volume, named after its first use.
    let mut volumes: BTreeMap<&SecretName, &str> = BTreeMap::new();
    for (r#use, name) in spec.secrets() {
        let path = format!("{SECRETS_DIR}/{}", r#use.folder());
        match volumes.get(name) {
            Some(volume) => all.mount(volume, &path),
            None => {
                volumes.insert(name, r#use.folder());
                all.add(secret(r#use.folder(), name), &path);
            }
        }
    }
    match identity {
        BaseIdentity::Irsa { mount_token: true, .. } => all.add(token(), BASE_IDENTITY_DIR),
        BaseIdentity::Secret { name } => all.add(secret("base-identity", name), BASE_IDENTITY_DIR),
        BaseIdentity::None | BaseIdentity::PodIdentity | BaseIdentity::Irsa { mount_token: false, .. } => {}
    }
    all
}

/// The environment variables that point AWS's SDK to the mounted files; EKS's webhooks set their own.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>
pub fn identity_files(identity: &BaseIdentity) -> Vec<(&'static str, String)> {
    match identity {
        BaseIdentity::Irsa { role_arn, mount_token: true } => {
            vec![
                ("AWS_ROLE_ARN", role_arn.to_string()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", format!("{BASE_IDENTITY_DIR}/{TOKEN_FILE}")),
            ]
        }
        BaseIdentity::Secret { .. } => {
            vec![("AWS_SHARED_CREDENTIALS_FILE", format!("{BASE_IDENTITY_DIR}/{CREDENTIALS_KEY}"))]
        }
        BaseIdentity::None | BaseIdentity::PodIdentity | BaseIdentity::Irsa { mount_token: false, .. } => Vec::new(),
    }
}

fn secret(volume: &str, name: &SecretName) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.to_string()),
            optional: Some(true),
            default_mode: Some(FILE_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn token() -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(TOKEN_AUDIENCE.to_owned()),
        expiration_seconds: Some(TOKEN_LIFETIME_SECONDS),
        path: TOKEN_FILE.to_owned(),
    };
    Volume {
        name: "base-identity".to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() }]),
            default_mode: Some(FILE_MODE),
        }),
        ..Volume::default()
    }
}
