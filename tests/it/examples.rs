//! The examples as a reader runs them: each is compiled into this crate and must end as it says.

#[expect(dead_code, reason = "`main` is what `cargo run --example` calls")]
#[path = "../../examples/partition_and_heal.rs"]
mod partition_and_heal;
#[expect(dead_code, reason = "`main` is what `cargo run --example` calls")]
#[path = "../../examples/survivorship.rs"]
mod survivorship;
#[expect(dead_code, reason = "`main` is what `cargo run --example` calls")]
#[path = "../../examples/two_regions.rs"]
mod two_regions;

use crate::tidy::sources;

/// What an example wrote.
fn told(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

#[test]
fn survivorship_says_why_the_owner_decides() {
    let mut out = Vec::new();
    survivorship::run(&mut out).unwrap();
    let told = told(out);
    assert!(told.contains("company/1000/payment_terms = NT30"), "{told}");
    assert!(told.contains("EMEA, the owner of company code 1000, decides"), "{told}");
}

#[test]
fn two_regions_meet_and_show_the_same() {
    let mut out = Vec::new();
    two_regions::run(&mut out).unwrap();
    let told = told(out);
    let (apart, together) = told.split_once("They meet").unwrap();
    assert!(apart.contains("lyon shows \"NT30\"") && apart.contains("chicago shows \"NT60\""));
    assert_eq!(together.matches("shows \"NT30\"").count(), 2, "{told}");
    assert!(told.ends_with("Equal digests of history and golden records: true\n"), "{told}");
}

/// The same bytes at every run: nothing in the core looks at a clock or draws a number.
#[test]
fn two_regions_tell_the_same_story_every_time() {
    let story = || {
        let mut out = Vec::new();
        two_regions::run(&mut out).unwrap();
        told(out)
    };
    assert_eq!(story(), story());
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_agree_after_a_cut() {
    let mut out = Vec::new();
    boxed(partition_and_heal::run(&mut out)).await.unwrap();
    let told = told(out);
    let (apart, healed) = told.split_once("The line is back").unwrap();
    assert!(apart.contains("lyon       NT45") && apart.contains("singapore  NT30"), "{told}");
    assert_eq!(healed.matches("  NT45 of erp-emea (EMEA), EUR 50000.00 of").count(), 3, "{told}");
    assert!(healed.contains("NT90 of erp-apac (APAC) lost to NT45 of erp-emea (EMEA)"), "{told}");
    assert!(told.contains("Five nodes show the same records: "), "{told}");
}

/// A large future belongs on the heap.
fn boxed<'a, T>(
    future: impl Future<Output = T> + 'a,
) -> std::pin::Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(future)
}

/// A new example gets a test here and a line in the list.
#[test]
fn no_example_is_forgotten() {
    let all = sources();
    let text = |path: &str| {
        let found = all.iter().find(|source| source.path == path);
        found.and_then(|source| source.text()).unwrap().to_owned()
    };
    let (list, tests) = (text("examples/README.md"), text("tests/it/examples.rs"));
    for source in &all {
        let name = source.path.strip_prefix("examples/").and_then(|p| p.strip_suffix(".rs"));
        if let Some(name) = name {
            assert!(list.contains(&format!("`{name}.rs`")), "examples/README.md: no {name}");
            assert!(tests.contains(&format!("mod {name};")), "tests/it/examples.rs: no {name}");
        }
    }
}
