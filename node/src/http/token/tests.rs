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
