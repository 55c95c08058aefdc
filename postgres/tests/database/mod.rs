//! A PostgreSQL of the test's own: a cluster in a temporary folder, served by a user who is not root, reached by a Unix socket only.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hexad_postgres::PostgresCatalogue;
use tokio_postgres::NoTls;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running database; gone with its folder when dropped.
pub struct Database {
    child: Child,
    programs: PathBuf,
    folder: tempfile::TempDir,
    as_whom: Option<(u32, u32)>,
}

/// The folder of the newest PostgreSQL that is installed.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).filter(|folder| folder.join("initdb").is_file()).collect();
    // Debian's folders are named after versions.
    all.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_string_lossy().parse::<u32>().ok());
        std::cmp::Reverse(version.unwrap_or(0))
    });
    all.into_iter().next()
}

/// A user who is not root: the one that Debian's package makes, or whoever owns nothing.
fn servant() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map_while(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

impl Database {
    /// Starts one; `None` (and a word about it) where PostgreSQL is not installed, unless CI=true.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            assert!(!ci, "{name} needs postgresql (`cargo xtask test` installs it)");
            let _ = writeln!(std::io::stderr(), "SKIPPED {name}: needs postgresql (`cargo xtask test` installs it)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("hexad-pg").tempdir_in("/tmp").unwrap();
        let as_whom = rustix::process::getuid().is_root().then(|| servant().expect("a user who is not root"));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        if let Some((user, group)) = as_whom {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let initdb = [
            programs.join("initdb").to_str().unwrap(),
            "-D",
            &data(&folder),
            "-U",
            "hexad",
            "-A",
            "trust",
            "-N",
            "--no-instructions",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        .map(str::to_owned);
        let made = run_as(as_whom, &initdb, folder.path()).stdout(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let child = serve(&programs, &folder, as_whom);
        let database = Self { child, programs, folder, as_whom };
        database.await_ready();
        Some(database)
    }

    fn address(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://hexad@{folder}/postgres")
    }

    fn await_ready(&self) {
        let until = Instant::now() + PATIENCE;
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            while tokio_postgres::connect(&self.address(), NoTls).await.is_err() {
                assert!(Instant::now() < until, "PostgreSQL does not come up");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// The catalogue as one more machine sees it.
    pub fn machine(&self) -> PostgresCatalogue {
        PostgresCatalogue::new(&self.address()).unwrap()
    }

    /// As a kill of the database does.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        // A fast shutdown: connections are broken.
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap();
    }

    pub fn go_on(&mut self) {
        self.child = serve(&self.programs, &self.folder, self.as_whom);
        self.await_ready();
    }

    pub async fn execute(&self, sql: &str) {
        let (client, connection) = tokio_postgres::connect(&self.address(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }

    /// Waits until a number is 0.
    pub async fn until(&self, what: &str, sql: &str) {
        let (client, connection) = tokio_postgres::connect(&self.address(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let until = Instant::now() + PATIENCE;
        while client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) != 0 {
            assert!(Instant::now() < until, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn data(folder: &tempfile::TempDir) -> String {
    folder.path().join("data").display().to_string()
}

fn serve(programs: &Path, folder: &tempfile::TempDir, as_whom: Option<(u32, u32)>) -> Child {
    let folder_name = folder.path().display().to_string();
    // Durability is not what is tested, and costs every commit a disk.
    let words = [
        programs.join("postgres").display().to_string(),
        "-D".into(),
        data(folder),
        "-k".into(),
        folder_name,
        "-c".into(),
        "listen_addresses=".into(),
        "-c".into(),
        "fsync=off".into(),
        "-c".into(),
        "max_connections=60".into(),
    ];
    run_as(as_whom, &words, folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A command of somebody who is not root: PostgreSQL refuses to be run by him.
fn run_as(as_whom: Option<(u32, u32)>, words: &[String], folder: &Path) -> Command {
    let mut command = match as_whom {
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into(), "--pdeathsig=INT".into()]);
            command.args(words);
            command
        }
        None => {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        }
    };
    command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}
