//! Ctrl-C during the demo: seen between two steps, so that nodes and directories are cleared away.

use tokio::sync::watch;

use crate::cli::CliError;
use crate::shutdown;

/// Whether the user wants the demo to end.
pub(super) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    pub(super) fn listen(runtime: &tokio::runtime::Runtime) -> Self {
        let (wish, seen) = watch::channel(false);
        runtime.spawn(async move {
            shutdown::requested().await;
            wish.send_replace(true);
        });
        Self(seen)
    }

    /// Goes on, unless the demo is to end.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if *self.0.borrow() {
            let text = "The demo was interrupted; its nodes are stopped.";
            return Err(CliError::Unreachable(text.to_owned()));
        }
        Ok(())
    }

    /// Waits for the wish.
    pub(super) fn wait(&self, runtime: &tokio::runtime::Runtime) {
        let mut seen = self.0.clone();
        // Without a sender no wish can come, and there is nothing to wait for.
        drop(runtime.block_on(seen.wait_for(|wish| *wish)));
    }
}
