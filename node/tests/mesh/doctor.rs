//! What an operator is told of a member that is not reached.

use super::fleet::{Mesh, until};

#[tokio::test]
async fn a_member_that_is_not_reached_is_told_with_every_address_that_was_tried() {
    let mut mesh = Mesh::of(&["a", "b"]).await;
    let b = mesh.status("b").await;
    mesh.kill("b").await;
    until("a takes it for down", async || (mesh.state_of(&b.node, "a").await? == "down").then_some(())).await;
    let doctor = mesh.run("a", &["doctor"]).await.stdout;
    let member = format!("warn  member: {} is down and not reached (over a link: ", &b.node[..8]);
    let address = format!("; {}: no answer within ", b.listen.udp);
    assert!(doctor.contains(&member) && doctor.contains(&address), "{doctor}");
    assert!(doctor.contains("      next: see that a node runs there and that UDP reaches it"), "{doctor}");
}
