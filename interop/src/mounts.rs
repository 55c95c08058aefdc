//! Mounts that nobody sees but whom we start among them.

use crate::holder::Holder;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// A mount namespace.
#[derive(Debug)]
pub struct Mounts(Holder);

impl Mounts {
    /// The file `name_servers` stands in the place of resolv.conf(5).
    ///
    /// # Errors
    /// Without root.
    pub fn of_name_servers(name_servers: &Path) -> Result<Self> {
        Self::with(&format!("mount --bind '{}' /etc/resolv.conf", name_servers.display()))
    }

    /// A file system of `bytes` bytes whose files can share blocks, mounted twice: as the folders `one` and `two` of `folder`. No name can be moved
    /// between them.
    ///
    /// # Errors
    /// Without root or `mkfs.btrfs`.
    pub fn of_shared_blocks(folder: &Path, bytes: u64) -> Result<Self> {
        let (image, one, two) = (folder.join("image"), folder.join("one"), folder.join("two"));
        std::fs::File::create(&image)?.set_len(bytes)?;
        std::fs::create_dir(&one)?;
        std::fs::create_dir(&two)?;
        let made = Command::new(crate::find("mkfs.btrfs").context("mkfs.btrfs")?).args(["--quiet", "--mixed"]).arg(&image).output()?;
        ensure!(made.status.success(), "mkfs.btrfs: {}", String::from_utf8_lossy(&made.stderr));
        let [image, one, two] = [image, one, two].map(|path| path.display().to_string());
        Self::with(&format!("mount -o loop '{image}' '{one}' && mkdir '{one}/two' && mount --bind '{one}/two' '{two}'"))
    }

    /// Runs a program among them to its end.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let [enter, switches @ ..] = self.enter();
        let output = Command::new(enter).args(switches).arg(program).args(arguments).output()?;
        ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn with(prepare: &str) -> Result<Self> {
        Holder::of("--mount", prepare).map(Self)
    }

    /// What a program is to be started with, before its own name, so that it is among them.
    pub(crate) fn enter(&self) -> [String; 4] {
        ["nsenter", "--mount", "--target", &self.0.id()].map(str::to_owned)
    }
}
