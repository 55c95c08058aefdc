//! What a machine puts in and takes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use deadpool_postgres::Transaction;
use hexad_core::{AskFailure, IndexDeed, IndexFile, IndexOwner};

use crate::{Shelf, failed, random};

/// What a change knows of owners' entries before it is in effect; `None` is one who has left.
struct Changing<'a> {
    shelf: &'a Shelf,
    entries: BTreeMap<String, Option<i64>>,
}

impl Changing<'_> {
    fn entry(&self, owner: &str) -> Option<i64> {
        self.entries.get(owner).copied().unwrap_or_else(|| self.shelf.entries().get(owner).copied())
    }
}

/// Files that are put in with one statement, column by column.
#[derive(Default)]
struct Batch {
    files: Vec<i64>,
    entries: Vec<i64>,
    names: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
    token_keys: Vec<Vec<u8>>,
    sizes: Vec<i64>,
    marks: [Vec<i64>; 4],
    words: Vec<String>,
    word_files: Vec<i64>,
}

impl Batch {
    fn add(&mut self, number: i64, entry: i64, file: IndexFile) {
        self.files.push(number);
        self.entries.push(entry);
        self.names.push(file.name);
        self.token_keys.push(file.token.to_ascii_lowercase());
        self.tokens.push(file.token);
        self.sizes.push(i64::try_from(file.size_bytes).unwrap_or(i64::MAX));
        for (column, mark) in self.marks.iter_mut().zip(file.marks) {
            column.push(mark.into());
        }
        // A text of the database holds no zero byte.
        for word in file.words.into_iter().filter(|word| !word.contains('\0')) {
            self.words.push(word);
            self.word_files.push(number);
        }
    }

    async fn put(&mut self, change: &Transaction<'_>) -> Result<(), AskFailure> {
        let Self { files, entries, names, tokens, token_keys, sizes, marks: [mark0, mark1, mark2, mark3], words, word_files } =
            std::mem::take(self);
        if files.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO hexad_files (file, entry, name, token, token_key, size, mark0, mark1, mark2, mark3)
            SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], $4::BYTEA[], $5::BYTEA[], $6::BIGINT[], $7::BIGINT[], $8::BIGINT[],
            $9::BIGINT[], $10::BIGINT[]) ON CONFLICT (file) DO NOTHING";
        let statement = change.prepare_cached(sql).await.map_err(failed)?;
        change
            .execute(&statement, &[&files, &entries, &names, &tokens, &token_keys, &sizes, &mark0, &mark1, &mark2, &mark3])
            .await
            .map_err(failed)?;
        let sql = "INSERT INTO hexad_words (word, file) SELECT * FROM unnest($1::TEXT[], $2::BIGINT[]) ON CONFLICT (word, file) DO NOTHING";
        let statement = change.prepare_cached(sql).await.map_err(failed)?;
        change.execute(&statement, &[&words, &word_files]).await.map_err(failed)?;
        Ok(())
    }
}

/// Carries out all of it, or nothing.
pub(crate) async fn change(shelf: &Arc<Shelf>, deeds: Vec<IndexDeed>) -> Result<(), AskFailure> {
    let mut client = shelf.client().await?;
    if shelf.given_up.swap(false, Ordering::Relaxed) {
        shelf.entries().clear();
        return Err(AskFailure::Other("the catalogue has given this machine up; everything has to be entered again".into()));
    }
    let change = client.transaction().await.map_err(failed)?;
    let mut changing = Changing { shelf, entries: BTreeMap::new() };
    let mut batch = Batch::default();
    for deed in deeds {
        if let IndexDeed::Add(owner, file) = deed {
            if let Some(entry) = changing.entry(&owner) {
                batch.add(shelf.file(entry, &file.name), entry, file);
            }
            continue;
        }
        batch.put(&change).await?;
        carry_out(deed, &mut changing, &change).await?;
    }
    batch.put(&change).await?;
    change.commit().await.map_err(failed)?;
    let mut entries = shelf.entries();
    for (owner, entry) in changing.entries {
        match entry {
            Some(entry) => entries.insert(owner, entry),
            None => entries.remove(&owner),
        };
    }
    Ok(())
}

async fn carry_out(deed: IndexDeed, changing: &mut Changing<'_>, change: &Transaction<'_>) -> Result<(), AskFailure> {
    let machine = changing.shelf.machine;
    match deed {
        IndexDeed::Enter(IndexOwner { name, marks, card, .. }) => {
            let entry = random().map_err(failed)?;
            let gone = "INSERT INTO hexad_gone (entry) SELECT entry FROM hexad_owners WHERE owner = $1 ON CONFLICT (entry) DO NOTHING";
            change.execute(gone, &[&name]).await.map_err(failed)?;
            let sql = "INSERT INTO hexad_owners (owner, machine, entry, mark0, mark1, card) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (owner) DO UPDATE SET machine = excluded.machine, entry = excluded.entry, mark0 = excluded.mark0,
                mark1 = excluded.mark1, card = excluded.card";
            let [mark0, mark1] = marks.map(i64::from);
            change.execute(sql, &[&name, &machine, &entry, &mark0, &mark1, &card]).await.map_err(failed)?;
            changing.entries.insert(name, Some(entry));
        }
        IndexDeed::Change(IndexOwner { name, marks, card, .. }) => {
            if let Some(entry) = changing.entry(&name) {
                let sql = "UPDATE hexad_owners SET mark0 = $3, mark1 = $4, card = $5 WHERE owner = $1 AND entry = $2";
                let [mark0, mark1] = marks.map(i64::from);
                change.execute(sql, &[&name, &entry, &mark0, &mark1, &card]).await.map_err(failed)?;
            }
        }
        IndexDeed::Leave(name) => {
            if let Some(entry) = changing.entry(&name) {
                give_entry_up(entry, change).await?;
                // Somebody else may have entered him meanwhile.
                change.execute("DELETE FROM hexad_owners WHERE owner = $1 AND entry = $2", &[&name, &entry]).await.map_err(failed)?;
                changing.entries.insert(name, None);
            }
        }
        IndexDeed::Clear(name) => {
            if let Some(entry) = changing.entry(&name) {
                let next = random().map_err(failed)?;
                give_entry_up(entry, change).await?;
                let sql = "UPDATE hexad_owners SET entry = $3 WHERE owner = $1 AND entry = $2";
                change.execute(sql, &[&name, &entry, &next]).await.map_err(failed)?;
                changing.entries.insert(name, Some(next));
            }
        }
        IndexDeed::Remove(owner, name) => {
            if let Some(entry) = changing.entry(&owner) {
                let file = changing.shelf.file(entry, &name);
                change.execute("DELETE FROM hexad_words WHERE file = $1", &[&file]).await.map_err(failed)?;
                change.execute("DELETE FROM hexad_files WHERE file = $1", &[&file]).await.map_err(failed)?;
            }
        }
        IndexDeed::Tell(to, body) => {
            let number = changing.shelf.letters_sent.fetch_add(1, Ordering::Relaxed);
            let sql = "INSERT INTO hexad_letters (machine, sender, number, body) VALUES ($1, $2, $3, $4)";
            change.execute(sql, &[&to.cast_signed(), &machine, &number, &body]).await.map_err(failed)?;
        }
        IndexDeed::Add(..) => {}
    }
    Ok(())
}

async fn give_entry_up(entry: i64, change: &Transaction<'_>) -> Result<(), AskFailure> {
    let sql = "INSERT INTO hexad_gone (entry) VALUES ($1) ON CONFLICT (entry) DO NOTHING";
    change.execute(sql, &[&entry]).await.map(drop).map_err(failed)
}
