//! Tests the life cycle of a release: install, `helm test`, upgrade and rollback under load, uninstall. It runs on a
//! cluster with a real kubelet.
//!
//! The parts share one cluster and change it as a whole, so they run one after the other; each prints how long it took.

mod install;
mod namespaced;
mod upgrade;

use std::time::Instant;

use tributary_tests::kubernetes::{Cloud, Images, Kubernetes, RELEASE_NAMESPACE, Release, helm, kubectl};

/// What all parts share.
struct Fixture {
    cluster: Kubernetes,
    cloud: Cloud,
    images: Images,
}

impl Fixture {
    /// The release that each part starts from.
    fn release(&self) -> Release {
        Release::new(&self.images)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_installed_upgraded_rolled_back_and_uninstalled() {
    let cluster = Kubernetes::connect_only().await;
    helm(&["uninstall", "tributary", "--namespace", RELEASE_NAMESPACE, "--ignore-not-found", "--wait"])
        .expect("no release");
    // Helm does not adopt objects that it has not created, such as the CRD of other tests.
    kubectl(&["delete", "crd", "destinationfunctions.tributary.dev", "--ignore-not-found"], "").expect("no definition");
    let images = Images::of_tests();
    let cloud = Cloud::start(&cluster, &images.tool()).await;
    let fixture = Fixture { cluster, cloud, images };
    timed("installed, and an event stored", install::install_and_store_an_event(&fixture)).await;
    timed("helm test", install::helm_test(&fixture)).await;
    timed("the operator's permissions", install::the_operator_has_no_verb_on_secrets(&fixture)).await;
    timed("upgraded and rolled back under load", upgrade::upgrade_and_roll_back_under_load(&fixture)).await;
    timed("a missing image", upgrade::a_missing_image_stops_no_more_than_two_rollouts(&fixture)).await;
    timed("a stricter policy", upgrade::a_stricter_policy_stops_existing_functions(&fixture)).await;
    timed("uninstalled and reinstalled", upgrade::uninstall_and_reinstall(&fixture)).await;
    timed("for selected namespaces", namespaced::install_for_selected_namespaces(&fixture)).await;
}

async fn timed(what: &str, part: impl Future<Output = ()>) {
    let begun = Instant::now();
    part.await;
    println!("{what}: {:.1} s", begun.elapsed().as_secs_f32());
}
