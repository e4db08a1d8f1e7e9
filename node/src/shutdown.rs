//! When to stop: Ctrl-C, or the signal that service managers send. A second one stops at once.

use std::io;

/// The wish to stop. Made before anything is started, so that no signal is missed.
#[derive(Debug)]
pub struct Shutdown {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Shutdown {
    /// Takes the signals of this process over. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses; signals then end the process as they always do.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Takes Ctrl-C of this process over. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// Never on this system.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal; gives its name.
    #[cfg(unix)]
    pub async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for the next Ctrl-C; gives its name.
    #[cfg(not(unix))]
    pub async fn requested(&mut self) -> &'static str {
        drop(tokio::signal::ctrl_c().await);
        "Ctrl-C"
    }
}

/// Waits for the first signal. For commands that have nothing to finish.
pub async fn requested() {
    match Shutdown::listen() {
        Ok(mut shutdown) => {
            shutdown.requested().await;
        }
        // Then the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}
