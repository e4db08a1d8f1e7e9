//! Mappings of import files: read, or refused with a sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use node::import::Mapping;

fuzz_target!(|text: &str| {
    if let Err(error) = Mapping::parse("mapping.toml", text) {
        assert!(!error.to_string().is_empty());
    }
});
