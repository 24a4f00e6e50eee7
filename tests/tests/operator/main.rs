//! The built operator on a real control plane. Pods are not run here: what becomes of a function in
//! the API is.

mod capacity;
mod children;
mod definition;
mod drift;
mod held;
mod killed;
mod leaders;
mod many;
mod metrics;
mod replicas;
mod rivals;
mod rollouts;
mod scene;
mod sidecars;
mod trouble;
