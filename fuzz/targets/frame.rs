//! Frames of a peer: whatever decodes has one form, which reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use node::replica::frame::Frame;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = Frame::decode(bytes) {
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    }
});
