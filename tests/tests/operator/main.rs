//! Tests the built operator against a real API server and its controllers. No pods run: the tests check the objects in
//! the API.

mod capacity;
mod children;
mod definition;
mod drift;
mod held;
mod killed;
mod leaders;
mod logs;
mod manifests;
mod many;
mod metrics;
mod replicas;
mod rivals;
mod rollouts;
mod scene;
mod sidecars;
mod status;
mod trouble;
