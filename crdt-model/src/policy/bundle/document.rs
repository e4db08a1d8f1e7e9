//! Tests of what people are given to read: the template and every block of `docs/policy.md`.

use crate::policy::{CODES, bundle};

const TEMPLATE: &str = include_str!("../../../../examples/policy/policy.toml");
const DOCUMENT: &str = include_str!("../../../../docs/policy.md");
const SURVIVORSHIP: &str = include_str!("../../../../docs/survivorship.md");

/// The blocks of the document: what stands behind the fence, the line, and the text.
fn blocks() -> Vec<(&'static str, usize, String)> {
    blocks_of(DOCUMENT)
}

fn blocks_of(document: &'static str) -> Vec<(&'static str, usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize, String)> = None;
    for (number, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind, number + 1, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, _, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// What a governor is told about a file: the first fault of reading or of the lint.
fn fault(text: &str) -> Option<String> {
    match bundle::read(text) {
        Ok(policy) => policy.lint().err().map(|fault| fault.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// The words that the reader knows in a place, as its fault lists them.
fn known(text: &str) -> Vec<String> {
    let fault = bundle::read(text).unwrap_err().to_string();
    let (_, listed) = fault.split_once("Known are ").unwrap();
    assert!(!listed.contains('…'), "the fault does not list all: {fault}");
    listed.trim_end_matches('.').split(", ").map(str::to_owned).collect()
}

fn keys() -> Vec<String> {
    known("version = 1\nzzzzzzzz = 1\n")
}

#[test]
fn the_worked_example_of_survivorship_can_be_put_in_force() {
    let blocks = blocks_of(SURVIVORSHIP);
    let whole: Vec<_> = blocks.iter().filter(|(kind, ..)| *kind == "toml complete").collect();
    assert_eq!(whole.len(), 2);
    for (_, line, text) in whole {
        assert_eq!(fault(text), None, "docs/survivorship.md:{line}");
    }
    let website = bundle::read(&blocks[0].2).unwrap();
    assert_eq!(website.source_kinds, ["register", "manual", "erp", "crm"]);
    let path = "general/website".parse().unwrap();
    let rule = website.rule_for(crate::attribute::lookup(&path), &path);
    assert_eq!(rule, crate::policy::Rule::SourcePriority);
}

#[test]
fn the_template_has_every_key_and_no_fault() {
    assert_eq!(fault(TEMPLATE), None);
    for key in keys() {
        let forms = [format!("{key} ="), format!("[{key}"), format!("# [{key}]")];
        assert!(
            TEMPLATE.lines().any(|line| forms.iter().any(|form| line.starts_with(form.as_str()))),
            "the template does not show {key}"
        );
    }
    let members =
        ["exempt", "only_raise", "at_creation", "regions", "company_codes", "sources", "needed"];
    assert!(members.iter().all(|member| TEMPLATE.contains(&format!("\n{member} = "))));
    let policy = bundle::read(TEMPLATE).unwrap();
    assert_eq!(bundle::read(&bundle::write(&policy)), Ok(policy));
}

#[test]
fn every_block_of_the_document_is_what_it_says_it_is() {
    let blocks = blocks();
    let count = |kind: &str| blocks.iter().filter(|(fence, ..)| *fence == kind).count();
    assert!(count("toml complete") >= 2 && count("toml fragment") >= 6, "{blocks:?}");
    for (place, (kind, line, text)) in blocks.iter().enumerate() {
        match *kind {
            "toml complete" => assert_eq!(fault(text), None, "line {line}"),
            "toml fragment" => {
                assert_eq!(fault(&format!("version = 2\n{text}")), None, "line {line}");
            }
            "toml wrong" => {
                let (kind, _, told) = &blocks[place + 1];
                assert_eq!(*kind, "text", "line {line}: what it gives must follow");
                let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(fault(text), Some(told), "line {line}");
            }
            "" | "text" => {}
            other => panic!("line {line}: no block is marked {other}"),
        }
    }
}

#[test]
fn the_document_has_every_key_rule_role_and_code() {
    for key in keys() {
        assert!(DOCUMENT.contains(&format!("| [`{key}`](#{key}) | ")), "no row for {key}");
        let (_, part) = DOCUMENT.split_once(&format!("\n### {key}\n")).unwrap();
        let part = part.split("\n### ").next().unwrap();
        assert!(part.contains("```toml wrong\n"), "no example of a fault of {key}");
    }
    let rules = known("version = 1\n[rules]\n\"name/legal\" = \"zzzzzzzz\"");
    let roles = known("version = 1\n[principals.a]\nroles = [\"zzzzzzzz\"]");
    for word in rules.iter().chain(&roles).filter(|word| *word != "override") {
        assert!(DOCUMENT.contains(&format!("\n| `{word}` | ")), "no row for {word}");
    }
    let (_, codes) = DOCUMENT.split_once("## What lint refuses").unwrap();
    let listed: Vec<&str> =
        codes.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, CODES);
}
