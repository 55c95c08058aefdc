//! What keeps the catalogue in order: its tables, who is there, and clearing what nobody owns any longer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use hexad_core::AskFailure;

use crate::{GIVEN_UP_S, HEARTBEAT, Shelf, failed};

/// Seconds since 1970 by the database's clock, the only one that all machines see.
pub(crate) const NOW: &str = "CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)";
/// Files that are cleared at a time.
const SLICE: i64 = 1000;

const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS hexad_machines (machine BIGINT PRIMARY KEY, seen BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS hexad_owners (owner TEXT PRIMARY KEY, machine BIGINT NOT NULL, entry BIGINT NOT NULL UNIQUE,
        mark0 BIGINT NOT NULL, mark1 BIGINT NOT NULL, card BYTEA NOT NULL)",
    "CREATE INDEX IF NOT EXISTS hexad_owners_machine ON hexad_owners (machine)",
    "CREATE TABLE IF NOT EXISTS hexad_files (file BIGINT PRIMARY KEY, entry BIGINT NOT NULL, name BYTEA NOT NULL, token BYTEA NOT NULL,
        token_key BYTEA NOT NULL, size BIGINT NOT NULL, mark0 BIGINT NOT NULL, mark1 BIGINT NOT NULL, mark2 BIGINT NOT NULL, mark3 BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS hexad_files_entry ON hexad_files (entry)",
    "CREATE INDEX IF NOT EXISTS hexad_files_token ON hexad_files (token_key)",
    "CREATE TABLE IF NOT EXISTS hexad_words (word TEXT NOT NULL, file BIGINT NOT NULL, PRIMARY KEY (word, file))",
    "CREATE INDEX IF NOT EXISTS hexad_words_file ON hexad_words (file)",
    "CREATE TABLE IF NOT EXISTS hexad_letters (machine BIGINT NOT NULL, sender BIGINT NOT NULL, number BIGINT NOT NULL, body BYTEA NOT NULL,
        PRIMARY KEY (machine, sender, number))",
    "CREATE TABLE IF NOT EXISTS hexad_gone (entry BIGINT PRIMARY KEY)",
];

/// Makes the tables, says that this machine is there, and goes on saying so.
pub(crate) async fn prepare(shelf: &Arc<Shelf>) -> Result<(), AskFailure> {
    let client = shelf.pool.get().await.map_err(failed)?;
    for table in TABLES {
        // Machines that begin at the same moment get into each other's way; the second try finds what the first one has made.
        if client.batch_execute(table).await.is_err() {
            client.batch_execute(table).await.map_err(failed)?;
        }
    }
    beat(shelf, &client).await?;
    let watched = Arc::downgrade(shelf);
    tokio::spawn(keep(watched));
    Ok(())
}

/// As long as the catalogue is in use.
async fn keep(watched: Weak<Shelf>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Some(shelf) = watched.upgrade() else { return };
        if let Err(failure) = look_after(&shelf).await {
            tracing::debug!(%failure, "the catalogue was not looked after");
        }
    }
}

async fn look_after(shelf: &Shelf) -> Result<(), AskFailure> {
    let mut client = shelf.pool.get().await.map_err(failed)?;
    beat(shelf, &client).await?;
    give_up(&mut client).await?;
    while clear(&mut client).await? {
        beat(shelf, &client).await?;
    }
    Ok(())
}

/// Says that this machine is there. When the others have given it up, all that it had has to be entered again.
async fn beat(shelf: &Shelf, client: &tokio_postgres::Client) -> Result<(), AskFailure> {
    let sql = format!("UPDATE hexad_machines SET seen = {NOW} WHERE machine = $1");
    if client.execute(&sql, &[&shelf.machine]).await.map_err(failed)? == 0 {
        let sql = format!("INSERT INTO hexad_machines (machine, seen) VALUES ($1, {NOW}) ON CONFLICT (machine) DO NOTHING");
        client.execute(&sql, &[&shelf.machine]).await.map_err(failed)?;
        shelf.given_up.store(shelf.ready.initialized(), Ordering::Relaxed);
    }
    Ok(())
}

/// Takes out machines that nobody has heard of for long.
async fn give_up(client: &mut tokio_postgres::Client) -> Result<(), AskFailure> {
    let sql = format!("SELECT machine FROM hexad_machines WHERE seen < {NOW} - $1");
    for row in client.query(&sql, &[&GIVEN_UP_S]).await.map_err(failed)? {
        let machine: i64 = row.get(0);
        let change = client.transaction().await.map_err(failed)?;
        for sql in [
            "INSERT INTO hexad_gone (entry) SELECT entry FROM hexad_owners WHERE machine = $1 ON CONFLICT (entry) DO NOTHING",
            "DELETE FROM hexad_owners WHERE machine = $1",
            "DELETE FROM hexad_letters WHERE machine = $1",
            "DELETE FROM hexad_machines WHERE machine = $1",
        ] {
            change.execute(sql, &[&machine]).await.map_err(failed)?;
        }
        change.commit().await.map_err(failed)?;
    }
    Ok(())
}

/// Clears a slice of what is gone. Returns whether there was something.
async fn clear(client: &mut tokio_postgres::Client) -> Result<bool, AskFailure> {
    let Some(row) = client.query_opt("SELECT entry FROM hexad_gone ORDER BY entry LIMIT 1", &[]).await.map_err(failed)? else {
        return Ok(false);
    };
    let entry: i64 = row.get(0);
    let files =
        client.query("SELECT file FROM hexad_files WHERE entry = $1 ORDER BY file LIMIT $2", &[&entry, &SLICE]).await.map_err(failed)?;
    let files: Vec<i64> = files.iter().map(|row| row.get(0)).collect();
    if files.is_empty() {
        client.execute("DELETE FROM hexad_gone WHERE entry = $1", &[&entry]).await.map_err(failed)?;
        return Ok(true);
    }
    let change = client.transaction().await.map_err(failed)?;
    change.execute("DELETE FROM hexad_words WHERE file = ANY($1)", &[&files]).await.map_err(failed)?;
    change.execute("DELETE FROM hexad_files WHERE file = ANY($1)", &[&files]).await.map_err(failed)?;
    change.commit().await.map_err(failed)?;
    Ok(true)
}
