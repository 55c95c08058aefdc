//! What holds a namespace open: a `cat` that reads from a pipe of ours. When we end, however we end, the pipe closes, `cat` ends and the namespace is
//! gone.

use crate::net::is_root;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A namespace that stays as long as this does.
#[derive(Debug)]
pub(crate) struct Holder(Child);

impl Holder {
    /// Makes a namespace, of the kind that `unshare` knows by this switch, and runs `prepare` in it.
    ///
    /// # Errors
    /// When there is none to be had, or `prepare` fails.
    pub(crate) fn of(kind: &str, prepare: &str) -> Result<Self> {
        let mut unshare = Command::new("unshare");
        if !is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args([kind, "sh", "-c", &format!("{prepare} && echo ready && exec cat")]);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = Self(unshare.spawn().context("cannot start unshare")?);
        let mut said = String::new();
        let out = holder.0.stdout.take().context("unshare has a stdout")?;
        BufReader::new(out).read_line(&mut said)?;
        ensure!(said == "ready\n", "unshare {kind} does not come to its end: {prepare}");
        Ok(holder)
    }

    /// The process that holds it, for programs that name a namespace so.
    pub(crate) fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
