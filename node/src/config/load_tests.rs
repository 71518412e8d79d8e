use std::error::Error as _;

use super::super::settings::{LogFormat, LogLevel};
use super::*;

#[test]
fn defaults_are_private_but_for_the_mesh_socket() {
    let config = layered("", &[], &Flags::default()).unwrap();
    assert_eq!(config.listen, "0.0.0.0:4334".parse().unwrap());
    assert_eq!(config.rest, "127.0.0.1:8000".parse().unwrap());
    assert_eq!(config.region.to_string(), "home");
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Text));
    assert!(!config.emulate && config.advertise.is_empty());
}

#[test]
fn a_later_layer_wins() {
    let file = "region = \"from-file\"\nlisten = \"10.0.0.1:1\"\nrest = \"127.0.0.1:1\"\n[log]\nlevel = \"debug\"\nformat = \"json\"";
    let environment = [("HEDGEROW_REGION", "from-environment"), ("HEDGEROW_LISTEN", "10.0.0.2:2")];
    let flags = Flags { listen: Some("10.0.0.3:3".into()), emulate: true, ..Flags::default() };
    let config = layered(file, &environment, &flags).unwrap();
    assert_eq!(config.rest, "127.0.0.1:1".parse().unwrap(), "only in the file");
    assert_eq!(config.region.to_string(), "from-environment");
    assert_eq!(config.listen, "10.0.0.3:3".parse().unwrap());
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert!(config.emulate);
}

#[test]
fn a_list_reads_the_same_from_every_layer() {
    let expected: Vec<SocketAddr> = vec!["192.0.2.1:4334".parse().unwrap(), "[2001:db8::1]:4334".parse().unwrap()];
    let file = "advertise = [\"192.0.2.1:4334\", \"[2001:db8::1]:4334\"]";
    assert_eq!(layered(file, &[], &Flags::default()).unwrap().advertise, expected);
    let environment = [("HEDGEROW_ADVERTISE", "192.0.2.1:4334, [2001:db8::1]:4334")];
    assert_eq!(layered("", &environment, &Flags::default()).unwrap().advertise, expected);
    let flags = Flags { advertise: vec!["192.0.2.1:4334".into(), "[2001:db8::1]:4334".into()], ..Flags::default() };
    assert_eq!(layered("", &[], &flags).unwrap().advertise, expected);
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let refused = |file: &str, environment: &[(&str, &str)]| {
        layered(file, environment, &Flags::default()).unwrap_err().to_string()
    };
    assert_eq!(
        refused("lisen = \"1.2.3.4:5\"", &[]),
        "use unknown key `lisen` from file hedgerow.toml; docs/config.md lists the keys"
    );
    assert_eq!(
        refused("[log]\nlevle = \"info\"", &[]),
        "use unknown key `log.levle` from file hedgerow.toml; docs/config.md lists the keys"
    );
    assert_eq!(
        refused("[logs]\nlevel = \"info\"", &[]),
        "use unknown key `logs` from file hedgerow.toml; docs/config.md lists the keys"
    );
    assert_eq!(
        refused("", &[("HEDGEROW_LISEN", "1.2.3.4:5")]),
        "use unknown key `HEDGEROW_LISEN` from environment variable HEDGEROW_LISEN; docs/config.md lists the keys"
    );
}

#[test]
fn a_value_that_does_not_parse_says_what_was_expected() {
    let refused = |file: &str| layered(file, &[], &Flags::default()).unwrap_err().to_string();
    assert_eq!(refused("listen = 4334"), "use `4334` as listen from file hedgerow.toml: expected IP:PORT");
    assert_eq!(refused("log = 7"), "use unknown key `log` from file hedgerow.toml; docs/config.md lists the keys");
    assert_eq!(
        refused("[artifacts]\nbytes_max = 1.5"),
        "use `1.5` as artifacts.bytes_max from file hedgerow.toml: expected bytes"
    );
    let nine = format!("advertise = [{}]", "\"192.0.2.1:1\",".repeat(9));
    assert!(refused(&nine).ends_with("expected a list of IP:PORT, at most 8"));
    assert!(refused("data = \"/elsewhere\"").ends_with("it cannot stand in a file; give it as --data"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_place() {
    let error = layered("listen = ", &[], &Flags::default()).unwrap_err();
    assert_eq!(error.to_string(), "parse configuration file hedgerow.toml as TOML");
    assert!(error.source().unwrap().to_string().contains("line 1"), "{:?}", error.source());
}

#[test]
fn the_port_base_moves_every_port_and_no_host() {
    let flags = Flags { port_base: Some(5000), listen: Some("10.0.0.3:3".into()), ..Flags::default() };
    let config = layered("", &[], &flags).unwrap();
    assert_eq!(config.listen, "10.0.0.3:5000".parse().unwrap());
    assert_eq!(config.rest, "127.0.0.1:5001".parse().unwrap());
    let free = layered("port_base = 0", &[], &Flags::default()).unwrap();
    assert_eq!([free.listen.port(), free.rest.port()], [0, 0]);
    let error = layered("port_base = 65533", &[], &Flags::default()).unwrap_err();
    assert!(matches!(error, ConfigError::PortBase { base: 65533 }), "{error}");
    assert!(layered("port_base = 65532", &[], &Flags::default()).is_ok());
}

#[test]
fn interfaces_without_tokens_stay_on_loopback() {
    for file in ["rest = \"0.0.0.0:8000\"", "rest = \"192.0.2.1:1\""] {
        let error = layered(file, &[], &Flags::default()).unwrap_err();
        assert!(matches!(error, ConfigError::NeedsTokens { .. }), "{error}");
        assert!(error.to_string().contains("requests must carry tokens"), "{error}");
    }
    assert!(layered("rest = \"[::1]:8000\"", &[], &Flags::default()).is_ok());
    assert!(layered("rest = \"0.0.0.0:8000\"\nopen_rest = true", &[], &Flags::default()).is_ok());
}

#[test]
fn an_address_that_cannot_be_dialled_is_not_advertised() {
    for address in ["0.0.0.0:4334", "192.0.2.1:0"] {
        let flags = Flags { advertise: vec![address.into()], ..Flags::default() };
        let error = layered("", &[], &flags).unwrap_err();
        assert!(matches!(error, ConfigError::CannotBeDialled { .. }), "{error}");
    }
}

#[test]
fn a_file_that_was_named_must_exist_and_be_short() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Flags { config: Some(folder.path().join("none.toml")), ..flags_in(folder.path()) };
    assert!(matches!(Config::load(&missing), Err(ConfigError::Read { .. })));
    let defaults = Config::load(&flags_in(folder.path())).unwrap();
    assert_eq!(defaults.data, folder.path());

    let own = folder.path().join("hedgerow.toml");
    std::fs::write(&own, "region = \"eu\"").unwrap();
    assert_eq!(Config::load(&flags_in(folder.path())).unwrap().region.to_string(), "eu");
    std::fs::write(&own, "#".repeat(64 * 1024 + 1)).unwrap();
    assert!(matches!(Config::load(&flags_in(folder.path())), Err(ConfigError::TooLong { .. })));
}

#[test]
fn the_documentation_has_every_key() {
    let documented = include_str!("../../../docs/config.md");
    for key in KEYS {
        let row = format!(
            "| `{}` | {} | {} | `{}` | {} | {} |",
            key.name,
            key.expected,
            key.default,
            key.variable,
            key.flag.map_or("-".to_owned(), |flag| format!("`{flag}`")),
            key.meaning
        );
        assert!(documented.contains(&row), "docs/config.md lacks this row:\n{row}");
    }
    let rows = documented.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, KEYS.len(), "docs/config.md has a row that is no key");
}

fn layered(file: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
    let environment: Vec<_> = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Config::from_layers(PathBuf::from("/data"), Some((Path::new("hedgerow.toml"), file)), &environment, flags)
}

fn flags_in(folder: &Path) -> Flags {
    Flags { data: Some(folder.to_path_buf()), ..Flags::default() }
}
