//! `hexad config`, and what commands share that are told by a configuration.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hexad_api::{Problem, json_line};
use hexad_daemon::config::{Config, Overlay, TEMPLATE, usual_file};

use crate::out;

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad config init
  hexad config init --print
  hexad config show --set networks.kazaa.found=true
  HEXAD_HTTP_LISTEN=127.0.0.1:4081 hexad config show --json";

/// What a node is told.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration [default: $XDG_CONFIG_HOME/hexad/config.toml or ~/.config/hexad/config.toml, where it is there]
    #[arg(long, value_name = "FILE", env = "HEXAD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set something over it and over the environment; may be repeated. Items of lists are separated by commas
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// The file, over it the environment, over that what was typed.
    ///
    /// # Errors
    /// When something of it cannot be used.
    pub fn read(&self) -> Result<Config, Problem> {
        let mut overlays = Overlay::from_environment();
        for text in &self.set {
            overlays.push(Overlay::from_flag(text)?);
        }
        Config::read(self.config.as_deref(), &overlays)
    }
}

/// `hexad config`.
#[derive(Debug, Args)]
pub struct ConfigCommandArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a configuration in which every setting is explained
    Init {
        /// Where [default: $XDG_CONFIG_HOME/hexad/config.toml or ~/.config/hexad/config.toml]
        #[arg(long, value_name = "FILE", env = "HEXAD_CONFIG")]
        config: Option<PathBuf>,
        /// Only print it
        #[arg(long)]
        print: bool,
        /// Write over what is there
        #[arg(long)]
        force: bool,
    },
    /// Print what holds: the file, over it the environment, over that what is typed here
    Show {
        /// Which
        #[command(flatten)]
        config: ConfigArgs,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Writes or shows a configuration.
///
/// # Errors
/// When it cannot be written, read or used.
pub fn run(command: ConfigCommand) -> Result<(), Problem> {
    match command {
        ConfigCommand::Init { print: true, .. } => out::bytes(TEMPLATE.as_bytes()),
        ConfigCommand::Init { config, force, .. } => init(config, force),
        ConfigCommand::Show { config, json } => {
            let config = config.read()?;
            if json { out::line(&json_line(&config.without_secrets())?) } else { out::bytes(config.to_toml()?.as_bytes()) }
        }
    }
}

fn init(named: Option<PathBuf>, force: bool) -> Result<(), Problem> {
    let path = named
        .or_else(usual_file)
        .ok_or_else(|| Problem::new("there is no usual place for a configuration: HOME is not set").hint("name a file with --config"))?;
    let trouble = |wrong: &std::io::Error| {
        let problem = Problem::new(format!("{} cannot be written: {}", path.display(), wrong.kind()));
        match wrong.kind() {
            std::io::ErrorKind::AlreadyExists => problem.hint("look at it, or write over it with --force"),
            _ => problem.hint("name another file with --config"),
        }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|wrong| trouble(&wrong))?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    let file = if force { options.create(true).truncate(true).open(&path) } else { options.create_new(true).open(&path) };
    file.and_then(|mut file| file.write_all(TEMPLATE.as_bytes())).map_err(|wrong| trouble(&wrong))?;
    out::line(&path.display().to_string())
}
