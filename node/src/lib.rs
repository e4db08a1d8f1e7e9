//! x

pub mod identity;
pub mod replica;
