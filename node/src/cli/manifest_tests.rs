//! What a file of manifests says, and each way in which one can be wrong.

use super::*;

const CART: &str = "\
# Shopping carts.
apiVersion: hedgerow/v1
kind: DataClass
metadata:
  name: cart
spec:
  replicas: 3
  writeQuorum: 2
  regions: [us, eu]
  personal: true
  ttl: 30d
";

fn cart() -> DataClassRow {
    DataClassRow {
        name: "cart".to_owned(),
        replicas: 3,
        write_quorum: 2,
        regions: vec!["eu".to_owned(), "us".to_owned()],
        personal: true,
        ttl_s: 30 * 86_400,
    }
}

fn refused(text: &str) -> (u64, String, ManifestFault) {
    let error = parse(Path::new("m.yaml"), text).unwrap_err();
    (error.line, error.field, error.fault)
}

#[test]
fn a_file_holds_manifests_in_any_order() {
    let node = "---\napiVersion: hedgerow/v1\nkind: NodeClass\nmetadata: {name: edge}\nspec: {weight: 4}\n---\n";
    let log =
        "apiVersion: hedgerow/v1\nkind: DataClass\nmetadata:\n  name: a-log\nspec:\n  replicas: 1\n  writeQuorum: 1\n";
    let manifests = parse(Path::new("m.yaml"), &[CART, node, log].concat()).unwrap();
    let plain = DataClassRow {
        name: "a-log".to_owned(),
        replicas: 1,
        write_quorum: 1,
        regions: vec![],
        personal: false,
        ttl_s: 0,
    };
    let edge = Manifest::NodeClass(NodeClassShare { name: "edge".to_owned(), weight: 4 });
    assert_eq!(manifests, [Manifest::DataClass(plain), Manifest::DataClass(cart()), edge]);
}

#[test]
fn what_is_written_reads_back() {
    for manifest in parse(Path::new("m.yaml"), CART).unwrap() {
        assert_eq!(parse(Path::new("n.yaml"), &text(&manifest).unwrap()), Ok(vec![manifest]));
    }
    let edge = Manifest::NodeClass(NodeClassShare { name: "edge".to_owned(), weight: 4 });
    assert_eq!(parse(Path::new("n.yaml"), &text(&edge).unwrap()), Ok(vec![edge]));
    let seconds = [(1, "1s"), (60, "1m"), (5_400, "90m"), (7_200, "2h"), (86_400, "1d"), (86_401, "86401s")];
    assert!(seconds.iter().all(|(seconds, text)| ttl_text(*seconds) == *text));
}

#[test]
fn each_wrong_value_is_told_by_line_and_field() {
    let cases = [
        ("hedgerow/v1", "hedgerow/v9", 2, "apiVersion", ManifestFault::ApiVersion),
        ("DataClass", "Deployment", 3, "kind", ManifestFault::Kind),
        ("name: cart", "name: Cart", 5, "name", ManifestFault::Name),
        ("replicas: 3", "replicas: 8", 7, "replicas", ManifestFault::Replicas),
        ("replicas: 3", "replicas: 0", 7, "replicas", ManifestFault::Replicas),
        ("writeQuorum: 2", "writeQuorum: 4", 8, "writeQuorum", ManifestFault::WriteQuorum),
        ("[us, eu]", "[us, us]", 9, "regions", ManifestFault::Regions),
        ("[us, eu]", "[us, EU]", 9, "regions", ManifestFault::Name),
        ("[us, eu]", "[]", 10, "personal", ManifestFault::Unfenced),
        ("30d", "30 days", 11, "ttl", ManifestFault::Ttl),
        ("30d", "0d", 11, "ttl", ManifestFault::Ttl),
    ];
    for (good, bad, line, field, fault) in cases {
        assert_eq!(refused(&CART.replacen(good, bad, 1)), (line, field.to_owned(), fault), "{bad}");
    }
    let forms = [("replicas: 3", "replica: 3", 7, "replica"), ("replicas: 3", "replicas: three", 7, "replicas")];
    for (good, bad, line, field) in forms {
        let (at, name, fault) = refused(&CART.replacen(good, bad, 1));
        assert!(matches!(fault, ManifestFault::Form(_)), "{fault:?}");
        assert_eq!((at, name), (line, field.to_owned()), "{bad}");
    }
    let weight = "apiVersion: hedgerow/v1\nkind: NodeClass\nmetadata: {name: edge}\nspec:\n  weight: 0\n";
    assert_eq!(refused(weight), (5, "weight".to_owned(), ManifestFault::Weight));
}

#[test]
fn lines_are_counted_from_the_start_of_the_file() {
    let (line, field, fault) = refused(&format!("{CART}---\n{}", CART.replacen("replicas: 3", "replicas: 9", 1)));
    assert_eq!((line, field, fault), (19, "replicas".to_owned(), ManifestFault::Replicas));
    let (line, field, fault) = refused(&format!("{CART}---\n{CART}"));
    assert_eq!((line, field, fault), (17, "name".to_owned(), ManifestFault::Twice));
    assert_eq!(refused("# nothing\n---\n").2, ManifestFault::Empty);
    let error = parse(Path::new("m.yaml"), &CART.replacen("replicas: 3", "replicas: 8", 1)).unwrap_err();
    assert_eq!(error.to_string(), "m.yaml: line 7, replicas: write 1 to 7");
    let error = parse(Path::new("m.yaml"), &format!("{CART}---\n{}", CART.replacen("ttl", "tll", 1))).unwrap_err();
    let unknown = "unknown field `tll`, expected one of replicas, writeQuorum, regions, personal, ttl";
    assert_eq!(error.to_string(), format!("m.yaml: line 23, tll: {unknown}"));
}

#[test]
fn more_classes_than_a_policy_may_have_are_refused() {
    let many: String =
        (0..=CLASSES_MAX).map(|n| format!("{}---\n", CART.replacen("name: cart", &format!("name: c{n}"), 1))).collect();
    assert_eq!(refused(&many).2, ManifestFault::TooMany);
}
