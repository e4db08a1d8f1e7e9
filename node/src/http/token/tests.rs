//! Token files: what is taken, what is refused, and that no secret leaks.

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789a";

fn file(extra: &str) -> String {
    format!(
        "[[tokens]]\nsecret = \"{SECRET}\"\nprincipal = \"admin\"\nsource = \"manual-emea\"\n{extra}"
    )
}

#[test]
fn a_token_grants_what_its_entry_says() {
    let tokens = Tokens::parse(&file("any_source = true\nwrite = true\n")).unwrap();
    let grant = tokens.grant(SECRET).unwrap();
    assert_eq!((grant.principal.as_str(), grant.source.as_str()), ("admin", "manual-emea"));
    assert!(grant.any_source && grant.write);
    assert!(tokens.grant("0123456789abcdef0123456789abcdef0123456789b").is_none());
    assert!(tokens.grant("").is_none());
}

#[test]
fn a_token_may_only_read_unless_it_says_otherwise() {
    let tokens = Tokens::parse(&file("")).unwrap();
    let grant = tokens.grant(SECRET).unwrap();
    assert!(!grant.write && !grant.any_source);
}

#[test]
fn the_secrets_are_not_kept() {
    let tokens = Tokens::parse(&file("")).unwrap();
    assert!(!format!("{tokens:?}").contains(SECRET));
}

#[test]
fn what_is_not_a_token_file_is_refused() {
    let twice = format!("{}{}", file(""), file(""));
    let cases = [
        ("", "no token"),
        ("[[tokens]]", "missing field"),
        (&file("").replace("secret", "hash"), "64 hexadecimal digits"),
        (&file(&format!("hash = \"{}\"\n", file::hash_of(SECRET))), "and not both"),
        (&file("expires = \"soon\"\n"), "neither on a day"),
        (&file("wirte = true\n"), "unknown field"),
        (&file("").replace(SECRET, "short"), "shorter than 32"),
        (&file("").replace("admin", ""), "not a name"),
        (&file("").replace("manual-emea", "Manual EMEA"), "source"),
        (&twice, "stands twice"),
    ];
    for (text, expected) in cases {
        let error = Tokens::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?} gives {error:?}");
        assert!(!error.contains(SECRET), "{error:?} leaks the secret");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    assert!(matches!(Tokens::load(&path), Err(TokenError::Unreadable { .. })));
    std::fs::write(&path, file("")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = Tokens::load(&path).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Tokens::load(&path).unwrap().grant(SECRET).is_some());
}

#[test]
fn a_file_that_the_program_writes_holds_hashes_and_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    let secret = file::new_secret().unwrap();
    let entry = TokenEntry {
        name: Some("anna".to_owned()),
        hash: Some(file::hash_of(&secret)),
        secret: None,
        principal: "anna".to_owned(),
        source: "manual-emea".parse().unwrap(),
        any_source: false,
        write: true,
        expires: Some("2027-12-31".to_owned()),
    };
    TokenFile { tokens: vec![entry] }.save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&secret), "{text}");
    let tokens = Tokens::load(&path).unwrap();
    let grant = tokens.grant(&secret).unwrap();
    assert_eq!(grant.principal, "anna");
    let end = expiry_ms("2028-01-01T00:00:00Z").unwrap();
    assert_eq!(grant.expires_ms, Some(end), "the last day counts whole");
    assert!(!grant.is_expired(end - 1) && grant.is_expired(end));
    // What nobody could use is not written.
    let none = TokenFile::default().save(&path).unwrap_err();
    assert!(none.to_string().contains("no token"), "{none}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_running_node_follows_the_file_and_keeps_what_it_has_when_that_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    let write = |text: &str| {
        let mut file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        file.persist(&path).unwrap();
    };
    write(&file(""));
    let keyring = Keyring::follow(Tokens::load(&path).unwrap(), path.clone());
    let other = "another-secret-0123456789abcdef0123456789";
    write("not a token file");
    write(&file("").replace(SECRET, other));
    for _ in 0..1_000 {
        if keyring.current().grant(other).is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(keyring.current().grant(other).is_some(), "the change was not seen");
    assert!(keyring.current().grant(SECRET).is_none(), "what is revoked is refused");
    write("not a token file");
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert!(keyring.current().grant(other).is_some());
}
