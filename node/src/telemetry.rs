//! Logging: to standard error, so that standard output stays for answers. Not metrics.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sets up logging for the rest of the process. A second call changes nothing.
///
/// A plain level counts for this program; libraries then tell warnings only. Directives such as
/// `info,quinn=debug` are taken as they are; what is not a directive counts as `info`.
pub fn init(level: &str, format: LogFormat) {
    let is_plain = level.chars().all(|c| c.is_ascii_alphanumeric());
    let directives = if is_plain { format!("warn,node={level}") } else { level.to_owned() };
    let filter = directives.parse().unwrap_or_else(|_| EnvFilter::new("warn,node=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let builder = builder.with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // A test of the same process may have set it up before.
    drop(match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    });
}

/// Sets up logging for a command that ends: warnings only, without times.
pub fn init_quiet() {
    let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
    let builder = builder.with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    drop(builder.without_time().with_target(false).try_init());
}
