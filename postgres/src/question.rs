//! What a machine asks.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use hexad_core::{AskFailure, IndexFile, IndexHit, IndexOwner, IndexQuery, Span};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::keep::NOW;
use crate::{SILENT_S, Shelf, failed};

/// How often a machine looks for letters while it waits for some.
const LOOK: Duration = Duration::from_millis(50);
/// Words of one question; more are not looked at.
const WORDS_MAX: usize = 8;

type Values = Vec<Box<dyn ToSql + Send + Sync>>;

/// A statement that is put together, and its values.
struct Asking {
    sql: String,
    values: Values,
}

impl Asking {
    /// The name of another value.
    fn value(&mut self, value: impl ToSql + Send + Sync + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    fn and(&mut self, condition: &str) {
        let _ = write!(self.sql, " AND {condition}");
    }

    fn and_between(&mut self, column: &str, range: (i64, i64)) {
        let (low, high) = (self.value(range.0), self.value(range.1));
        self.and(&format!("{column} BETWEEN {low} AND {high}"));
    }
}

fn wide(range: &RangeInclusive<u32>) -> (i64, i64) {
    (i64::from(*range.start()), i64::from(*range.end()))
}

const OWNER: &str = "o.owner, o.machine, o.mark0, o.mark1, o.card";

pub(crate) async fn find(shelf: &Arc<Shelf>, query: &IndexQuery) -> Result<Vec<IndexHit>, AskFailure> {
    let client = shelf.client().await?;
    let mut asking = Asking { sql: String::new(), values: Vec::new() };
    let _ = write!(asking.sql, "SELECT {OWNER}, f.name, f.token, f.size, f.mark0, f.mark1, f.mark2, f.mark3 FROM ");
    let words = &query.words[..query.words.len().min(WORDS_MAX)];
    for (number, word) in words.iter().enumerate() {
        let name = asking.value(word.replace('\0', ""));
        let _ = match number {
            0 => write!(asking.sql, "(SELECT file FROM hexad_words WHERE word = {name}) w0 "),
            _ => write!(asking.sql, "JOIN hexad_words w{number} ON w{number}.file = w0.file AND w{number}.word = {name} "),
        };
    }
    asking.sql.push_str(if words.is_empty() { "hexad_files f " } else { "JOIN hexad_files f ON f.file = w0.file " });
    asking.sql.push_str("JOIN hexad_owners o ON o.entry = f.entry JOIN hexad_machines m ON m.machine = o.machine ");
    let silent = asking.value(SILENT_S);
    let _ = write!(asking.sql, "WHERE m.seen >= {NOW} - {silent}");
    for word in query.without.iter().take(WORDS_MAX) {
        let name = asking.value(word.replace('\0', ""));
        asking.and(&format!("NOT EXISTS (SELECT 1 FROM hexad_words x WHERE x.file = f.file AND x.word = {name})"));
    }
    if let Some(token) = &query.token {
        let token = asking.value(token.to_ascii_lowercase());
        asking.and(&format!("f.token_key = {token}"));
    }
    if let Some(owner) = &query.owner {
        let owner = asking.value(owner.clone());
        asking.and(&format!("o.owner = {owner}"));
    }
    if query.elsewhere {
        let machine = asking.value(shelf.machine);
        asking.and(&format!("o.machine <> {machine}"));
    }
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    asking.and_between("f.size", (size(*query.size_bytes.start()), size(*query.size_bytes.end())));
    let all = 0..=u32::MAX;
    for (number, range) in query.file_marks.iter().enumerate().filter(|(_, range)| **range != all) {
        asking.and_between(&format!("f.mark{number}"), wide(range));
    }
    for (number, range) in query.owner_marks.iter().enumerate().filter(|(_, range)| **range != all) {
        asking.and_between(&format!("o.mark{number}"), wide(range));
    }
    let wanted = asking.value(i64::try_from(query.wanted).unwrap_or(i64::MAX));
    let _ = write!(asking.sql, " LIMIT {wanted}");
    let statement = client.prepare_cached(&asking.sql).await.map_err(failed)?;
    let values: Vec<&(dyn ToSql + Sync)> = asking.values.iter().map(|value| &**value as _).collect();
    let rows = client.query(&statement, &values).await.map_err(failed)?;
    let number = |row: &Row, place: usize| u32::try_from(row.get::<_, i64>(place)).unwrap_or(u32::MAX);
    let hits = rows.iter().map(|row| IndexHit {
        owner: owner_of(shelf, row),
        file: IndexFile {
            name: row.get(5),
            words: Vec::new(),
            token: row.get(6),
            size_bytes: u64::try_from(row.get::<_, i64>(7)).unwrap_or(0),
            marks: [number(row, 8), number(row, 9), number(row, 10), number(row, 11)],
        },
    });
    Ok(hits.collect())
}

fn owner_of(shelf: &Shelf, row: &Row) -> IndexOwner {
    let machine: i64 = row.get(1);
    let machine = if machine == shelf.machine { 0 } else { machine.cast_unsigned() };
    let number = |place: usize| u32::try_from(row.get::<_, i64>(place)).unwrap_or(u32::MAX);
    IndexOwner { name: row.get(0), machine, marks: [number(2), number(3)], card: row.get(4) }
}

pub(crate) async fn owner(shelf: &Arc<Shelf>, name: &str) -> Result<Option<Box<IndexOwner>>, AskFailure> {
    let client = shelf.client().await?;
    let sql = format!(
        "SELECT {OWNER} FROM hexad_owners o JOIN hexad_machines m ON m.machine = o.machine WHERE o.owner = $1 AND m.seen >= {NOW} - $2"
    );
    let statement = client.prepare_cached(&sql).await.map_err(failed)?;
    let row = client.query_opt(&statement, &[&name, &SILENT_S]).await.map_err(failed)?;
    Ok(row.map(|row| Box::new(owner_of(shelf, &row))))
}

/// Letters for this machine: at once if there are some, or as soon as there are.
pub(crate) async fn letters(shelf: &Arc<Shelf>, patience: Span) -> Result<Vec<(u64, Vec<u8>)>, AskFailure> {
    let until = tokio::time::Instant::now() + patience;
    loop {
        let client = shelf.client().await?;
        let sql = "DELETE FROM hexad_letters WHERE machine = $1 RETURNING sender, number, body";
        let statement = client.prepare_cached(sql).await.map_err(failed)?;
        let rows = client.query(&statement, &[&shelf.machine]).await.map_err(failed)?;
        drop(client);
        if !rows.is_empty() {
            // What one machine has told comes in the order in which it has told it.
            let mut letters: Vec<(i64, i64, Vec<u8>)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
            letters.sort_unstable_by_key(|(sender, number, _)| (*sender, *number));
            return Ok(letters.into_iter().map(|(sender, _, body)| (sender.cast_unsigned(), body)).collect());
        }
        if tokio::time::Instant::now() >= until {
            return Ok(Vec::new());
        }
        tokio::time::sleep(LOOK.min(patience)).await;
    }
}
