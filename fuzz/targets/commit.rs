//! Commits as they travel: whatever decodes has one form, which reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use node::replica::commit::Commit;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((commit, rest)) = Commit::decode_first(bytes) {
        let encoded = commit.encode();
        assert_eq!(encoded, bytes[..bytes.len() - rest.len()]);
        assert_eq!(Commit::decode_first(&encoded), Ok((commit, &[][..])));
    }
});
