//! What a node does to its own packets is set and shown as a whole, and what does not fit changes nothing.

use std::fs;

use hedgerow::admin::wire::EmulationReport;
use serde_json::Value;

use super::fleet::Mesh;

const SETTINGS: &str = concat!(
    r#"{"firewall":"stateful","rules":[{"peer":"192.0.2.1:4334","delay_ms":40,"jitter_ms":5,"loss_percent":1.5,"#,
    r#""rate_kbps":20000,"queue_kib":256,"cut":"in"}]}"#
);

#[tokio::test]
async fn what_is_emulated_is_set_shown_and_replaced_as_a_whole() {
    let mesh = Mesh::of(&["n"]).await;
    let file = mesh.path("emulation.json");
    let emulate = async |text: &str| {
        fs::write(&file, text).expect("the file");
        mesh.run("n", &["emulate", "--file", &file.display().to_string(), "-o", "json"]).await
    };
    let shown = emulate(SETTINGS).await.ok();
    assert_eq!(shown, mesh.run("n", &["emulate", "-o", "json"]).await.ok());
    let report: EmulationReport = serde_json::from_str(&shown).expect("JSON");
    let form: Value = serde_json::from_str(&shown).expect("JSON");
    let given: Value = serde_json::from_str(SETTINGS).expect("JSON");
    assert_eq!((&form["firewall"], &form["rules"]), (&given["firewall"], &given["rules"]));
    assert_eq!(mesh.status("n").await.emulation, Some(report.clone()));
    let told = mesh.run("n", &["status"]).await.ok();
    let line = "to 192.0.2.1:4334: 40 ms, up to 5 ms more, 1.5 % lost, 20000 kbit/s, 256 KiB of queue, cut inwards";
    assert!(told.contains("emulation   a stateful firewall, 1 rule") && told.contains(line), "{told}");

    for (text, complaint) in [
        (r#"{"rules":[{"peer":"192.0.2.1:4334","loss_percent":101}]}"#, "a loss of 101 %, name one from 0 to 100"),
        (r#"{"rules":[{"peer":"192.0.2.1:4334","delay_ms":10001}]}"#, "a delay of 10001 ms to 192.0.2.1:4334"),
        (
            r#"{"rules":[{"peer":"192.0.2.1:4334"},{"peer":"192.0.2.1:4334"}]}"#,
            "two emulation rules for 192.0.2.1:4334",
        ),
        (r#"{"firewall":"closed"}"#, "unknown variant `closed`"),
    ] {
        emulate(text).await.refused(2, &[complaint]);
        assert_eq!(mesh.status("n").await.emulation, Some(report.clone()), "{text}");
    }
    emulate("{}").await.ok();
    assert_eq!(mesh.run("n", &["emulate"]).await.ok(), "0 rules\n");
}

#[tokio::test]
async fn a_node_that_was_not_started_for_it_emulates_nothing() {
    let mut mesh = Mesh::empty();
    mesh.start_for_use("n", &["--init"]);
    assert_eq!(mesh.ready("n").await.emulation, None);
    mesh.run("n", &["emulate"]).await.refused(1, &["was not started for emulation", "`hedgerow run --emulate`"]);
}
