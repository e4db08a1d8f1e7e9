//! The configuration: defaults, layers, and what a wrong file says.

use super::*;

const HEAD: &str = "name = \"emea-1\"\nregion = \"EMEA\"\n";

fn with(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, String> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let environment = |name: &str| variables.get(name).map(|text| (*text).to_owned());
    let flags: Vec<_> = flags.iter().map(|(key, text)| (*key, Some((*text).to_owned()))).collect();
    Config::layered(Path::new("d/concord.toml"), text, &environment, &flags)
        .map_err(|error| error.to_string())
}

fn file(text: &str) -> Result<Config, String> {
    with(&format!("{HEAD}{text}"), &[], &[])
}

#[test]
fn the_defaults_are_pinned() {
    let config = file("").unwrap();
    assert_eq!(
        config,
        Config {
            name: "emea-1".to_owned(),
            region: "EMEA".parse().unwrap(),
            listen: "0.0.0.0:7400".parse().unwrap(),
            advertise: vec![],
            http: "127.0.0.1:7401".parse().unwrap(),
            connect: vec![],
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
            store_engine: "sled".to_owned(),
            store_cache_mib: 160,
            heartbeat: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(15),
        }
    );
    assert_eq!(config.heartbeat.as_millis(), u128::from(crate::replica::limits::HEARTBEAT_MS));
    let transport = crate::transport::TransportConfig::default();
    assert_eq!(config.idle_timeout, transport.idle_timeout);
}

#[test]
fn flags_win_over_the_environment_and_it_over_the_file() {
    let text =
        format!("{HEAD}listen = \"1.1.1.1:1\"\nconnect = [\"a\"]\n[log]\nlevel = \"warn\"\n");
    let variables = [("CONCORD_LISTEN", "2.2.2.2:2"), ("CONCORD_LOG_LEVEL", "debug")];
    let config = with(&text, &variables, &[("listen", "[::]:3")]).unwrap();
    assert_eq!(config.listen, "[::]:3".parse().unwrap());
    assert_eq!(config.log_level, "debug");
    assert_eq!(config.connect, ["a"]);
    let variables = [("CONCORD_CONNECT", "x, y"), ("CONCORD_STORE_CACHE_MIB", "64")];
    let config = with(&text, &variables, &[]).unwrap();
    assert_eq!((config.connect, config.store_cache_mib), (vec!["x".into(), "y".into()], 64));
}

#[test]
fn a_wrong_file_is_refused_with_its_line() {
    for (text, expected) in [
        (
            "lisen = \"0.0.0.0:1\"",
            "d/concord.toml:3: there is no key \"lisen\". Did you mean \"listen\"?",
        ),
        (
            "heartbeat_ms = 5",
            "d/concord.toml:3: there is no key \"heartbeat_ms\". Did you mean \"sync.heartbeat_ms\"?",
        ),
        (
            "\n[log]\nlevle = \"x\"",
            "d/concord.toml:5: there is no key \"log.levle\". Did you mean \"log.level\"?",
        ),
        (
            "zzz = 1",
            "d/concord.toml:3: there is no key \"zzz\". docs/operations.md lists every key.",
        ),
        (
            "[store]\ncache_mib = 4",
            "d/concord.toml:4: store.cache_mib takes a whole number from 16 to 65536, not 4.",
        ),
        (
            "http = 7401",
            "d/concord.toml:3: http takes an IP address with a port, such as \"0.0.0.0:7400\" or \"[::]:7400\", not 7401.",
        ),
        (
            "http = \"localhost:7401\"",
            "d/concord.toml:3: http takes an IP address with a port, such as \"0.0.0.0:7400\" or \"[::]:7400\", not \"localhost:7401\".",
        ),
        ("log.format = \"xml\"", "d/concord.toml:3: log.format takes text or json, not \"xml\"."),
        (
            "connect = \"amer-1\"",
            "d/concord.toml:3: connect takes a list of node names such as [\"amer-1\"], not \"amer-1\".",
        ),
        (
            "advertise = [\"x\"]",
            "d/concord.toml:3: advertise takes a list such as [\"node.example:7400\"], not [\"x\"].",
        ),
        (
            "listen = 1.5",
            "d/concord.toml:3: listen takes an IP address with a port, such as \"0.0.0.0:7400\" or \"[::]:7400\", not 1.5.",
        ),
        (
            "[sync]\nheartbeat_ms = 2000\nidle_timeout_ms = 2000",
            "d/concord.toml:4: sync.heartbeat_ms (2000) must be below sync.idle_timeout_ms (2000), else every link times out between two beats.",
        ),
    ] {
        assert_eq!(file(text).unwrap_err(), expected, "{text}");
    }
    let syntax = file("listen = ").unwrap_err();
    assert!(syntax.starts_with("d/concord.toml:3: "), "{syntax}");
    let unset = with("name = \"a\"", &[], &[]).unwrap_err();
    assert_eq!(unset, "d/concord.toml does not set region; add a line such as region = \"EMEA\".");
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let error = with(HEAD, &[("CONCORD_SYNC_HEARTBEAT_MS", "soon")], &[]).unwrap_err();
    assert_eq!(
        error,
        "CONCORD_SYNC_HEARTBEAT_MS: sync.heartbeat_ms takes a whole number from 100 to 60000, not \"soon\"."
    );
    let error = with(HEAD, &[], &[("log.level", "")]).unwrap_err();
    assert!(error.starts_with("--log-level: log.level takes error, warn"), "{error}");
}

#[test]
fn the_file_of_a_new_node_shows_every_key_and_means_the_defaults() {
    let text = template(&[("name", "\"emea-1\"".into()), ("region", "\"EMEA\"".into())]);
    for setting in DEFAULTS {
        let key = setting.key.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("{key} = ")), "{}", setting.key);
    }
    assert_eq!(with(&text, &[], &[]), file(""));
    // With every comment mark before a key taken away it still means the same.
    let all = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.contains(" = ") => rest,
        _ => line,
    });
    assert_eq!(with(&all.collect::<Vec<_>>().join("\n"), &[], &[]), file(""));
}

#[test]
fn the_address_to_call_is_never_a_wildcard() {
    for (http, url) in [
        ("0.0.0.0:7401", "http://127.0.0.1:7401"),
        ("[::]:7401", "http://[::1]:7401"),
        ("10.0.0.7:80", "http://10.0.0.7:80"),
    ] {
        let config = with(HEAD, &[], &[("http", http)]).unwrap();
        assert_eq!(config.http_url(), url);
    }
}

#[test]
fn the_manual_lists_every_key_with_its_default_and_bounds() {
    let manual =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md"))
            .unwrap();
    for setting in DEFAULTS {
        let row = manual.lines().find(|line| line.starts_with(&format!("| `{}` |", setting.key)));
        let row = row.unwrap_or_else(|| panic!("{} is not in the table of keys", setting.key));
        let default =
            setting.default.map_or_else(|| "must be set".to_owned(), |text| format!("`{text}`"));
        assert!(row.contains(&format!("| {default} |")), "{row} should say {default}");
        if let Kind::Whole(min, max) = setting.kind {
            assert!(row.contains(&format!("| {min} to {max} |")), "{row}");
        }
    }
}
