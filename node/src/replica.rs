//! The protocol: what a node does with commits, peers and time. Not a socket, clock, disk or thread.

pub mod node_id;
