//! Policies that governors bring: what can be read is linted and checked, and is written as it was read.
#![no_main]

use crdt_model::policy::{CompiledChecks, Policy, bundle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = bundle::read(text) else { return };
    assert_eq!(policy.lint().err(), policy.faults().into_iter().next());
    drop(CompiledChecks::of(&policy));
    let again = bundle::read(&bundle::write(&policy));
    assert_eq!(again.as_ref().map(Policy::digest).ok(), Some(policy.digest()));
});
