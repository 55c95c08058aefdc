//! `hexad completions` and `hexad man`: what shells and manuals want to know of this program.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use hexad_api::Problem;

use crate::args::Arguments;
use crate::out;

/// Examples for the help of `hexad completions`.
pub const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  hexad completions bash > ~/.local/share/bash-completion/completions/hexad
  hexad completions zsh > ~/.zfunc/_hexad
  hexad completions fish > ~/.config/fish/completions/hexad.fish";

/// Examples for the help of `hexad man`.
pub const MAN_EXAMPLES: &str = "\
Examples:
  hexad man | man -l -
  hexad man --out ~/.local/share/man/man1";

/// `hexad completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `hexad man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints what lets a shell complete commands and options.
///
/// # Errors
/// When stdout is closed.
pub fn completions(given: &CompletionsArgs) -> Result<(), Problem> {
    let mut script = Vec::new();
    clap_complete::generate(given.shell, &mut Arguments::command(), "hexad", &mut script);
    out::bytes(&script)
}

/// Prints the manual page, or writes all of them.
///
/// # Errors
/// When they cannot be written.
pub fn man(given: &ManArgs) -> Result<(), Problem> {
    let Some(folder) = &given.out else {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(Arguments::command()).render(&mut page);
        written.map_err(|wrong| Problem::new(format!("the page cannot be made: {wrong}")))?;
        return out::bytes(&page);
    };
    let trouble = |wrong: std::io::Error| {
        Problem::new(format!("{} cannot be written to: {}", folder.display(), wrong.kind())).hint("name another folder with --out")
    };
    std::fs::create_dir_all(folder).map_err(trouble)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(trouble)
}
