//! Certificates that live for seconds, in a mesh that lives longer.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use hedgerow::admin::wire::{CertificateReport, NodeState};
use hedgerow_attest::time::UnixSeconds;

use super::fleet::{Mesh, until};

/// Clocks may differ by a quarter of it.
const LIFE: &str = "12s";
const SKEW_S: u64 = 3;

async fn certificate(mesh: &Mesh, name: &str) -> CertificateReport {
    mesh.status(name).await.certificate.expect("a node of this release says so")
}

fn now() -> UnixSeconds {
    UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set").as_secs())
}

/// Waits until nobody takes a certificate any more.
async fn over(report: &CertificateReport) {
    let end = UnixSeconds::parse(&report.not_after).expect("a date");
    until("the certificate is over", async || (now() > end.plus_s(SKEW_S)).then_some(())).await;
}

#[tokio::test]
async fn a_mesh_outlives_its_certificates_without_losing_a_link() {
    let mesh = Mesh::of_short_lives(LIFE).await;
    let (node, first) = (mesh.status("b").await.node, certificate(&mesh, "b").await);
    let mut serials = [certificate(&mesh, "a").await.serial, first.serial];
    for _renewal in 0..4 {
        for (name, before) in ["a", "b"].into_iter().zip(&mut serials) {
            *before = until("it renews its certificate", async || {
                let report = certificate(&mesh, name).await;
                assert_eq!(report.failure, None);
                (report.serial > *before).then_some(report.serial)
            })
            .await;
        }
        for name in ["a", "b"] {
            assert!(mesh.members(name).await.iter().all(|member| member.state == "alive"));
        }
    }
    over(&first).await;
    let ends = |report: CertificateReport| UnixSeconds::parse(&report.not_after).expect("a date");
    let gained = ends(certificate(&mesh, "b").await).0 - ends(first).0;
    assert!(gained >= 24, "four renewals, each after half of a life of twelve seconds, gained {gained} s");
    assert_eq!(mesh.status("b").await.node, node);
    for name in ["a", "b"] {
        let status = mesh.status(name).await;
        assert_eq!((status.state, status.reasons), (NodeState::Ready, vec![]));
        assert!(!mesh.log(name).contains("closed a link"), "of a member that was renewed");
        assert_eq!(status.refusals.get("expired"), None);
    }
    let events = mesh.run("b", &["events"]).await.ok();
    let renewals = events.lines().filter(|line| line.contains("  certificate  -         renewed, serial ")).count();
    assert!(renewals >= 4, "{events}");
    // A lease may lapse for a moment on a busy machine, and doctor says so.
    let doctor = until("doctor finds nothing wrong", async || {
        let ran = mesh.run("b", &["doctor"]).await;
        (ran.code == Some(0)).then_some(ran.stdout)
    })
    .await;
    assert!(doctor.contains("ok    certificate: serial ") && doctor.contains("renews itself from"), "{doctor}");
}

#[tokio::test]
async fn a_node_that_was_off_until_its_certificate_ended_comes_back_without_a_ticket() {
    let mut mesh = Mesh::of_short_lives(LIFE).await;
    let node = mesh.status("b").await.node;
    let last = certificate(&mesh, "b").await;
    mesh.stop("b").await;
    over(&last).await;
    let doctor = mesh.run("b", &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    let told = format!("ended {}\n      next: the node renews it by itself while it runs", last.not_after);
    assert!(doctor.stdout.contains(&told), "{}", doctor.stdout);

    let again = mesh.start_again("b").await;
    assert_eq!(again.node, node);
    mesh.all_alive().await;
    let renewed = certificate(&mesh, "b").await;
    assert!(renewed.serial > last.serial && renewed.not_after > last.not_after, "{renewed:?}");
    assert!(mesh.log("a").contains("renewed a certificate"), "the issuer says so");
}

#[tokio::test]
async fn a_node_whose_issuer_is_away_says_so_and_recovers_with_it() {
    let mut mesh = Mesh::of_short_lives(LIFE).await;
    let issuer = mesh.status("a").await.node;
    let (a, b) = (certificate(&mesh, "a").await, certificate(&mesh, "b").await);
    mesh.stop("a").await;
    until("it says that its certificate is not renewed", async || {
        let reasons = mesh.status("b").await.reasons.join("; ");
        reasons.contains("the certificate of this node is not renewed: `hedgerow doctor` says why").then_some(())
    })
    .await;
    let doctor = mesh.run("b", &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    let told = format!("is not renewed: cannot reach issuer {issuer}");
    assert!(doctor.stdout.contains(&told) && doctor.stdout.contains("see that it runs"), "{}", doctor.stdout);
    let events = mesh.run("b", &["events"]).await.ok();
    let told = format!("  certificate  -         not renewed: cannot reach issuer {issuer}");
    assert!(events.contains(&told), "{events}");
    over(&b).await;
    until("it says that it has ended", async || {
        let reasons = mesh.status("b").await.reasons.join("; ");
        reasons.contains("the certificate of this node has ended, so that no other node takes its word").then_some(())
    })
    .await;

    // The issuer was away for as long, and renews its own certificate first.
    mesh.start_again("a").await;
    mesh.all_alive().await;
    assert!(certificate(&mesh, "a").await.serial > a.serial);
    let renewed = certificate(&mesh, "b").await;
    assert!(renewed.serial > b.serial, "{renewed:?}");
    until("nothing is wrong with it any more", async || mesh.status("b").await.reasons.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_node_whose_clock_is_two_hours_off_is_refused_in_words_and_helped_by_them() {
    let mut mesh = Mesh::of_short_lives(LIFE).await;
    mesh.stop("b").await;
    let clock = mesh.path("b/clock");
    let kept = fs::read_to_string(&clock).expect("it keeps the time at its end");
    assert!(UnixSeconds::parse(kept.trim_end()).is_ok_and(|kept| kept <= now()), "{kept}");
    fs::write(&clock, format!("{}\n", now().plus_s(7_200))).expect("the file");

    mesh.run_again("b");
    until("it tells why it is not renewed", async || {
        let failure = mesh.try_status("b").await?.certificate?.failure?;
        failure.contains("the clocks differ").then_some(())
    })
    .await;
    let doctor = mesh.run("b", &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    let remedy = format!("if it is right, and was wrong before, stop the node and remove {}", clock.display());
    for told in ["FAIL  clock: this machine says", &remedy, "the clocks differ, ", "set the one that is wrong"] {
        assert!(doctor.stdout.contains(told), "`{told}` is not in: {}", doctor.stdout);
    }
    assert!(mesh.status("a").await.refusals["renewal_clock_skew"] > 0, "the issuer counts it");

    mesh.stop("b").await;
    fs::remove_file(&clock).expect("the file");
    mesh.start_again("b").await;
    mesh.all_alive().await;
}
