//! Data classes as manifests: looked at, compared, planned, put into force, refused.

use std::fs;

use serde_json::Value;

use super::fleet::{Mesh, until};

const CART: &str = "\
apiVersion: hedgerow/v1
kind: DataClass
metadata:
  name: cart
spec:
  replicas: 1
  writeQuorum: 1
  regions: [eu]
";

#[tokio::test]
async fn a_class_is_planned_put_into_force_and_found_there() {
    let mut mesh = Mesh::empty();
    mesh.run("n", &["init", "--region", "eu"]).await.ok();
    mesh.start("n", &[]);
    mesh.ready("n").await;
    let file = mesh.path("cart.yaml");
    let path = file.to_str().expect("a path of ASCII").to_owned();
    let write = |text: &str| fs::write(&file, text).expect("the file");

    write(CART);
    let classes = mesh.run("n", &["get", "dataclasses", "-o", "yaml"]).await.ok();
    assert!(classes.contains("name: default") && !classes.contains("cart"), "{classes}");
    let differences = mesh.run("n", &["diff", "-f", &path]).await.ok();
    let words: Vec<&str> = differences.split_whitespace().collect();
    assert!(words.windows(4).any(|row| row == ["cart", "regions", "-", "eu"]), "{differences}");
    until("the plan places every group of the class", async || {
        let plan = mesh.run("n", &["plan", "-f", &path]).await;
        plan.stdout.contains("cart.0-15").then_some(())
    })
    .await;
    let applied = mesh.run("n", &["apply", "-f", &path]).await.ok();
    assert!(applied.ends_with("policy 2 is in force\n"), "{applied}");
    let node_class = "apiVersion: hedgerow/v1\nkind: NodeClass\nmetadata: {name: edge}\nspec: {weight: 5}\n";
    write(&format!("{CART}---\n{node_class}"));
    let applied = mesh.run("n", &["apply", "-f", &path]).await.ok();
    assert!(applied.ends_with("shares of node classes, revision 1, are in force\n"), "{applied}");
    until("the share is in force", async || {
        let shares = mesh.run("n", &["get", "nodeclasses", "edge", "-o", "yaml"]).await;
        shares.stdout.ends_with("name: edge\nspec:\n  weight: 5\n").then_some(())
    })
    .await;
    let again = mesh.run("n", &["apply", "-f", &path]).await.ok();
    assert_eq!(again, "nothing differs from what is in force\n");
    let put = async || mesh.run("n", &["session", "put", "one", "--class", "cart", "a=1"]).await.code;
    until("the class is placed", async || (put().await == Some(0)).then_some(())).await;

    write(&CART.replace("replicas: 1", "replicas: 9"));
    let wrong = format!("{path}: line 6, replicas: write 1 to 7");
    mesh.run("n", &["apply", "-f", &path]).await.refused(2, &[&wrong, "next: correct that line"]);
    write(&CART.replace("[eu]", "[us]"));
    let plan = mesh.run("n", &["plan", "-f", &path]).await.ok();
    assert!(plan.contains("class cart is not allowed in this region"), "{plan}");
    assert!(plan.contains("stops at once") && plan.contains("region eu is not allowed"), "{plan}");
    mesh.run("n", &["apply", "-f", &path, "--key", &path]).await.refused(1, &["--key FILE"]);
    mesh.run("n", &["apply", "-f", &path]).await.ok();
    until("a tighter rule counts", async || (put().await != Some(0)).then_some(())).await;
}

#[tokio::test]
async fn a_plan_says_how_many_bytes_the_holders_would_copy() {
    let mesh = Mesh::of(&["a", "b"]).await;
    let file = mesh.path("cart.yaml");
    let path = file.to_str().expect("a path of ASCII").to_owned();
    fs::write(&file, CART).expect("the file");
    mesh.run("a", &["apply", "-f", &path]).await.ok();
    let put = async || mesh.run("a", &["session", "put", "one", "--class", "cart", "a=1"]).await.code;
    until("the class is placed and written to", async || (put().await == Some(0)).then_some(())).await;
    fs::write(&file, CART.replace("replicas: 1", "replicas: 2")).expect("the file");
    for asked in ["a", "b"] {
        // Every group gets a second copy, and one of them holds a session.
        let plan: Value = until("all holders answer", async || {
            let plan = mesh.run(asked, &["plan", "-f", &path, "-o", "json"]).await.ok();
            let plan: Value = serde_json::from_str(&plan).expect("a plan");
            (plan["copies_of_unknown_size"] == 0).then_some(plan)
        })
        .await;
        let cart = plan["classes"].as_array().into_iter().flatten().find(|class| class["class"] == "cart");
        let moves = cart.and_then(|cart| cart["moves"].as_array()).expect("the class is planned");
        let bytes: Vec<u64> =
            moves.iter().filter_map(|moved| moved["bytes"].as_u64()).filter(|bytes| *bytes > 0).collect();
        assert_eq!(moves.len(), 16, "{plan}");
        assert!(matches!(bytes[..], [bytes] if (50..10_000).contains(&bytes) && plan["bytes"] == bytes), "{plan}");
    }
}
