//! A catalogue that several machines share, in PostgreSQL or what speaks as it does (YugabyteDB, CockroachDB).
//!
//! Plain SQL only: no extension, and no LISTEN/NOTIFY, which the others do not have; machines look for letters a few times a second instead.
//! Whoever enters an owner gives him an *entry*, a number that his files carry. When he leaves, or is entered elsewhere, that number is put on the
//! list of those that are gone: at once nothing of it is found any longer, and its files are cleared slice by slice, by whichever machine comes
//! to it. The same happens to all that a machine has when nobody has heard of it for a while.

mod change;
mod keep;
mod question;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use hexad_core::{AskFailure, IndexDeed, IndexHit, IndexOwner, IndexQuery, Span};
use hexad_driver::{Catalogue, Finding};
use thiserror::Error;
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

/// Connections of one machine.
const CONNECTIONS_MAX: usize = 8;
/// No statement takes longer; the database ends it.
const STATEMENT_MS_MAX: u32 = 10_000;
/// How often a machine says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Who has not said so for so many seconds is left out of answers.
const SILENT_S: i64 = 10;
/// Who has not said so for so many seconds is given up, with all that he had.
const GIVEN_UP_S: i64 = 60;

/// Why there can be no such catalogue.
#[derive(Debug, Error)]
#[error("expected postgres://USER@HOST/DATABASE: {0}")]
pub struct BadAddress(String);

/// The catalogue, as one machine sees it. Connects when it is first asked, and again whenever that is necessary.
#[derive(Clone, Debug)]
pub struct PostgresCatalogue {
    shelf: Arc<Shelf>,
}

/// What the questions of one machine share.
struct Shelf {
    pool: Pool,
    /// By which other machines know this one.
    machine: i64,
    /// Makes the numbers of files: keyed, so that nobody outside can choose two that are the same.
    keys: RandomState,
    /// The entries of owners whom this machine has entered.
    entries: Mutex<BTreeMap<String, i64>>,
    letters_sent: AtomicI64,
    /// This machine was given up by the others.
    given_up: AtomicBool,
    ready: OnceCell<()>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl PostgresCatalogue {
    /// The catalogue in the database of that address, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Connections are not encrypted: the database
    /// stands on the same machine, or in a network of its own.
    ///
    /// # Errors
    /// When that is no address of a database, or the system has no random numbers.
    pub fn new(address: &str) -> Result<Self, BadAddress> {
        let mut config: tokio_postgres::Config = address.parse().map_err(|error| BadAddress(spell(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(BadAddress(format!("'{address}' names no host")));
        }
        config.application_name("hexad").connect_timeout(Duration::from_secs(5));
        let set = format!("-c statement_timeout={STATEMENT_MS_MAX}");
        let options = config.get_options().map_or_else(|| set.clone(), |options| format!("{options} {set}"));
        config.options(options);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let patience = Some(Duration::from_secs(10));
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .timeouts(Timeouts { wait: patience, create: patience, recycle: patience })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| BadAddress(error.to_string()))?;
        let shelf = Shelf {
            pool,
            machine: random().map_err(|error| BadAddress(error.to_string()))?,
            keys: RandomState::new(),
            entries: Mutex::default(),
            letters_sent: AtomicI64::new(0),
            given_up: AtomicBool::new(false),
            ready: OnceCell::new(),
        };
        Ok(Self { shelf: Arc::new(shelf) })
    }
}

impl Shelf {
    /// A connection to the database, whose tables are there.
    async fn client(self: &Arc<Self>) -> Result<Object, AskFailure> {
        self.ready.get_or_try_init(|| keep::prepare(self)).await?;
        self.pool.get().await.map_err(failed)
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i64>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a file.
    fn file(&self, entry: i64, name: &[u8]) -> i64 {
        self.keys.hash_one((entry, name)).cast_signed()
    }
}

impl Catalogue for PostgresCatalogue {
    fn find(&self, query: &IndexQuery) -> Finding<Vec<IndexHit>> {
        let (shelf, query) = (self.shelf.clone(), query.clone());
        Box::pin(async move { question::find(&shelf, &query).await })
    }

    fn owner(&self, name: &str) -> Finding<Option<Box<IndexOwner>>> {
        let (shelf, name) = (self.shelf.clone(), name.to_owned());
        Box::pin(async move { question::owner(&shelf, &name).await })
    }

    fn change(&self, deeds: Vec<IndexDeed>) -> Finding<()> {
        let shelf = self.shelf.clone();
        Box::pin(async move { change::change(&shelf, deeds).await })
    }

    fn letters(&self, patience: Span) -> Finding<Vec<(u64, Vec<u8>)>> {
        let shelf = self.shelf.clone();
        Box::pin(async move { question::letters(&shelf, patience).await })
    }
}

/// A number that nobody else has.
fn random() -> Result<i64, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(i64::from_le_bytes(bytes) & i64::MAX)
}

/// An error with what is behind it: the outermost one says next to nothing.
fn spell(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        text.push_str(": ");
        text.push_str(&error.to_string());
        inner = error.source();
    }
    text
}

fn failed(error: impl std::error::Error) -> AskFailure {
    AskFailure::Other(format!("the catalogue: {}", spell(&error)))
}
