//! The program `concord`. Everything it can do is in [`node::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    node::cli::main()
}

/// The allocator asks for huge pages. Filling each with zeros took a sixth of a first sync, and more of them
/// stay resident than are used. Where it cannot be had, all works the same.
fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
