//! `hexad demo`.

use std::fs;

use hexad_api::Problem;

use crate::args::DemoArgs;
use crate::signals;

/// Runs the demo in a temporary folder, which is gone afterwards, also when a signal ends it.
///
/// # Errors
/// When anything went wrong.
pub fn run(given: &DemoArgs) -> Result<(), Problem> {
    let scratch = tempfile::Builder::new().prefix("hexad-demo-").tempdir().map_err(|wrong| {
        Problem::new(format!("a temporary folder cannot be made: {wrong}")).hint("TMPDIR names the folder for temporary files")
    })?;
    let folder = scratch.path().to_owned();
    signals::on_first(move || {
        // Somebody may write a last file into a folder that has just been emptied.
        while fs::remove_dir_all(&folder).is_err() && folder.exists() {}
        std::process::exit(signals::INTERRUPTED);
    });
    hexad_daemon::demo(given.size_mib, scratch.path(), &mut std::io::stdout())
}
