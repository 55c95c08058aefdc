//! Which node a command speaks to, and what all such commands share.

use std::path::{Path, PathBuf};

use clap::Args;
use hexad_api::Problem;
use hexad_api::node::Page;
use hexad_daemon::remote::Remote;

use crate::out;

/// Where a node is when nobody says otherwise.
pub const USUAL: &str = "http://127.0.0.1:4080/";

/// Which node.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The node to speak to: where its page is
    #[arg(long, value_name = "URL", env = "HEXAD_DAEMON", default_value = USUAL, global = true, display_order = 800)]
    pub daemon: String,
    /// Its token, which is needed from other machines
    #[arg(long, value_name = "TOKEN", env = "HEXAD_TOKEN", hide_env_values = true, global = true, display_order = 801)]
    pub token: Option<String>,
    /// JSON on stdout: what the node says, one object per line
    #[arg(long, global = true, display_order = 802)]
    pub json: bool,
}

impl NodeArgs {
    /// The node; nobody is asked yet.
    ///
    /// # Errors
    /// When its address cannot be one.
    pub fn open(&self) -> Result<Remote, Problem> {
        Remote::open(&self.daemon, self.token.as_deref())
    }
}

/// A node that does the work in place of this command.
#[derive(Debug, Args)]
pub struct ByNodeArgs {
    /// Let the node do it that runs there; without an address, at http://127.0.0.1:4080/
    #[arg(
        long,
        value_name = "URL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = USUAL,
        conflicts_with_all = ["bootstrap", "servers", "nick", "state_dir"]
    )]
    pub daemon: Option<String>,
    /// With --daemon: the node's token, which is needed from other machines
    #[arg(long, value_name = "TOKEN", env = "HEXAD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

impl ByNodeArgs {
    /// The node, where one is to do it.
    ///
    /// # Errors
    /// When its address cannot be one.
    pub fn open(&self) -> Option<Result<Remote, Problem>> {
        Some(Remote::open(self.daemon.as_deref()?, self.token.as_deref()))
    }
}

/// A path as a program with another current folder finds it.
///
/// # Errors
/// When there is no current folder.
pub fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path)
        .map_err(|wrong| Problem::new(format!("{} cannot be made absolute: {}", path.display(), wrong.kind())).hint("give a whole path"))
}

/// All items of a list that a node gives in pages, `page` being the one from that item on; with `json` each is a `line` as it comes, and none is kept.
///
/// # Errors
/// When the node does not answer, or nobody reads on.
pub fn all<T>(
    json: bool,
    line: impl Fn(&T) -> Result<String, Problem>,
    mut page: impl FnMut(usize) -> Result<Page<T>, Problem>,
) -> Result<Vec<T>, Problem> {
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let Page { total, items, .. } = page(offset)?;
        offset += items.len();
        let is_last = items.is_empty() || offset >= total;
        if json {
            items.iter().try_for_each(|item| out::line(&line(item)?))?;
        } else {
            all.extend(items);
        }
        if is_last {
            return Ok(all);
        }
    }
}
