//! x

pub mod identity;
pub mod relay;
pub mod replica;
pub mod transport;
