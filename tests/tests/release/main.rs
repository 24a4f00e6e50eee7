//! The life of a release: installed, tried, upgraded and rolled back under load, uninstalled.
//!
//! There is one cluster, and what happens here is of all of it: so the parts come one after the
//! other, and say how long they took.

mod install;
mod namespaced;
mod upgrade;

use std::time::Instant;

use tributary_tests::kubernetes::{Cloud, Images, Kubernetes, Release, SYSTEM, helm, kubectl};

/// What all parts have.
struct Stage {
    cluster: Kubernetes,
    cloud: Cloud,
    images: Images,
}

impl Stage {
    /// The release that the parts begin with.
    fn release(&self) -> Release {
        Release::new(&self.images)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_lives_from_its_installation_to_its_end() {
    let cluster = Kubernetes::connect_only().await;
    helm(&["uninstall", "tributary", "--namespace", SYSTEM, "--ignore-not-found", "--wait"]).expect("no release");
    // Helm takes over nothing that it did not make, such as what other tests have defined.
    kubectl(&["delete", "crd", "destinationfunctions.tributary.dev", "--ignore-not-found"], "").expect("no definition");
    let images = Images::of_tests();
    let cloud = Cloud::start(&cluster, &images.tool()).await;
    let stage = Stage { cluster, cloud, images };
    timed("installed, and an event stored", install::install_and_store_an_event(&stage)).await;
    timed("helm test", install::helm_test(&stage)).await;
    timed("the account's rights", install::the_operator_has_no_verb_on_secrets(&stage)).await;
    timed("upgraded and rolled back under load", upgrade::upgrade_and_roll_back_under_load(&stage)).await;
    timed("an image that is not there", upgrade::an_image_that_is_not_there_stops_a_few_at_most(&stage)).await;
    timed("a policy that is younger than a function", upgrade::a_policy_stops_functions_that_are_older(&stage)).await;
    timed("uninstalled and installed again", upgrade::uninstall_and_install_again(&stage)).await;
    timed("in some namespaces only", namespaced::install_in_some_namespaces_only(&stage)).await;
}

async fn timed(what: &str, part: impl Future<Output = ()>) {
    let begun = Instant::now();
    part.await;
    println!("{what}: {:.1} s", begun.elapsed().as_secs_f32());
}
