//! x
pub mod clock;
pub mod kv;
pub mod store;
