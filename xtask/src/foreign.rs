//! The foreign programs that tests speak with: which are here, and how to get the others, with apt where root is at hand, and from PyPI into
//! `target/tools`.

use crate::shell::{find, root, run, succeeds};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One package and how to see that it is here.
pub struct Foreign {
    /// Its name for apt, or on PyPI.
    pub package: &'static str,
    present: fn() -> bool,
}

/// Names on PyPI, each with the release that tests know.
const PYFREENET: &str = "pyfreenet3==0.7.0";
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Everything that tests and benchmarks start.
pub const FOREIGN: &[Foreign] = &[
    Foreign { package: "aria2", present: || find("aria2c").is_some() },
    Foreign { package: "transmission-daemon", present: || find("transmission-daemon").is_some() },
    Foreign { package: "transmission-cli", present: || find("transmission-remote").is_some() && find("transmission-create").is_some() },
    Foreign { package: "python3-libtorrent", present: libtorrent },
    Foreign { package: "opentracker", present: || find("opentracker").is_some() },
    Foreign { package: "mktorrent", present: || find("mktorrent").is_some() },
    Foreign { package: "parallel", present: || find("parallel").is_some() },
    Foreign { package: "postgresql", present: postgresql },
    Foreign { package: "tshark", present: || find("tshark").is_some() },
    Foreign { package: "python3-venv", present: || succeeds(Command::new("/usr/bin/python3").args(["-c", "import ensurepip"])) },
    Foreign {
        package: PYFREENET,
        present: || succeeds(Command::new(environment(PYFREENET).join("bin/python")).args(["-c", "import fcp3"])),
    },
    Foreign { package: "nftables", present: || find("nft").is_some() },
    Foreign { package: "btrfs-progs", present: || find("mkfs.btrfs").is_some() },
    Foreign { package: "iproute2", present: || find("ip").is_some() },
    Foreign {
        package: SCHEMATHESIS,
        present: || environment(SCHEMATHESIS).join("bin/schemathesis").is_file() || find("schemathesis").is_some(),
    },
    Foreign { package: "util-linux", present: || find("unshare").is_some() && find("nsenter").is_some() && find("setpriv").is_some() },
];

/// Only Debian's own Python sees python3-libtorrent; one of pyenv or conda in front of it does not.
fn libtorrent() -> bool {
    succeeds(Command::new("/usr/bin/python3").args(["-c", "import libtorrent"]))
}

/// Where a package of PyPI has a Python of its own, beside what cargo builds.
fn environment(package: &str) -> PathBuf {
    match package {
        PYFREENET => std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("pyfreenet"),
        _ => root().join("target/tools/schemathesis"),
    }
}

/// Installs what Debian does not have, which needs no root.
fn install_from_pypi(package: &str) -> Result<()> {
    let home = environment(package);
    run(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&home))?;
    run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", package]))
}

/// Debian keeps it apart from PATH.
fn postgresql() -> bool {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    find("initdb").is_some() || installed.map(|entry| entry.path().join("bin").join("initdb")).any(|program| program.is_file())
}

/// The packages that are not here.
pub fn missing() -> Vec<&'static str> {
    FOREIGN.iter().filter(|foreign| !(foreign.present)()).map(|foreign| foreign.package).collect()
}

/// Installs what is missing where apt and root are at hand, and says plainly what is still missing afterwards.
pub fn install() -> Vec<&'static str> {
    let wanted = missing();
    if wanted.is_empty() {
        eprintln!("xtask: all foreign programs are here");
        return wanted;
    }
    let (pypi, debian): (Vec<&str>, Vec<&str>) = wanted.iter().partition(|package| [PYFREENET, SCHEMATHESIS].contains(package));
    match installer() {
        _ if debian.is_empty() => {}
        None => eprintln!("xtask: not installing {}: needs apt-get and root (or sudo without a password)", debian.join(", ")),
        Some(installer) => {
            if let Err(error) = installer.install(&debian) {
                eprintln!("xtask: {error:#}");
            }
        }
    }
    for package in pypi {
        if let Err(error) = install_from_pypi(package) {
            eprintln!("xtask: {error:#}");
        }
    }
    let missing = missing();
    say_missing(&missing);
    missing
}

/// Says on stderr what is missing and what follows from it.
pub fn say_missing(missing: &[&str]) {
    if missing.is_empty() {
        return;
    }
    let consequence = if ci() { "with CI=true their tests fail" } else { "their tests say so and are skipped" };
    eprintln!("xtask: MISSING foreign programs: {}; {consequence}", missing.join(", "));
}

/// Whether CI=true, which turns a missing program into a failure.
pub fn ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Whether Chromium is here, in which the page is tried; gets it first where `may_install` and apt and root are at hand.
pub fn browser(may_install: bool) -> bool {
    let is_here = || find("chromium").is_some();
    if !is_here() && may_install {
        match installer() {
            None => eprintln!("xtask: not installing chromium: needs apt-get and root (or sudo without a password)"),
            Some(installer) => {
                if let Err(error) = installer.install(&["chromium"]) {
                    eprintln!("xtask: {error:#}");
                }
            }
        }
    }
    is_here()
}

struct Installer {
    sudo: bool,
}

fn installer() -> Option<Installer> {
    find("apt-get")?;
    if succeeds(Command::new("sh").args(["-c", "test \"$(id -u)\" = 0"])) {
        return Some(Installer { sudo: false });
    }
    succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Installer { sudo: true })
}

impl Installer {
    fn install(&self, packages: &[&str]) -> Result<()> {
        if let Err(error) = run(self.command("apt-get").args(["update", "-qq"])) {
            eprintln!("xtask: {error:#}; going on with the lists that are here");
        }
        // One package that this release does not know makes apt-get refuse all of them, so each gets its own chance afterwards.
        if run(self.apt().args(packages)).is_err() {
            for package in packages {
                if let Err(error) = run(self.apt().arg(package)) {
                    eprintln!("xtask: {error:#}");
                }
            }
        }
        self.keep_services_quiet(packages);
        Ok(())
    }

    fn apt(&self) -> Command {
        let mut command = self.command("apt-get");
        command.args(["install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(if self.sudo { "sudo" } else { "env" });
        command.args(if self.sudo { &["-n", "env"][..] } else { &[] }).args(["DEBIAN_FRONTEND=noninteractive", program]);
        command
    }

    /// Debian starts a daemon when it is installed; nobody who wants to run tests asked for a public tracker on port 6969.
    fn keep_services_quiet(&self, packages: &[&str]) {
        if !Path::new("/run/systemd/system").exists() {
            return;
        }
        for service in ["transmission-daemon", "opentracker", "postgresql"].iter().filter(|service| packages.contains(service)) {
            let _ = run(self.command("systemctl").args(["disable", "--now", service]));
        }
    }
}
