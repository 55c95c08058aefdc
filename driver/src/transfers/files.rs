//! Open files, of which there are never too many.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hexad_core::Map;

/// What a descriptor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Which store.
    pub(crate) store: u64,
    /// Which file of its layout; [`Key::PART_FILE`] for the part file.
    pub(crate) file: u32,
    /// Whether it may be written to.
    pub(crate) writable: bool,
}

impl Key {
    /// Stands for a store's part file.
    pub(crate) const PART_FILE: u32 = u32::MAX;
}

/// Descriptors, kept until others need their place.
#[derive(Debug)]
pub(crate) struct Files {
    open: Mutex<Open>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Open {
    files: Map<Key, (Arc<File>, u64)>,
    uses: u64,
}

impl Files {
    /// Keeps up to `capacity` files open.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { open: Mutex::default(), capacity: capacity.max(1) }
    }

    /// The file, when it is open.
    pub(crate) fn find(&self, key: Key) -> Option<Arc<File>> {
        let mut open = self.lock();
        open.uses += 1;
        let uses = open.uses;
        let (file, used) = open.files.get_mut(&key)?;
        *used = uses;
        Some(file.clone())
    }

    /// Keeps `file`; the one used longest ago makes room.
    pub(crate) fn keep(&self, key: Key, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let mut open = self.lock();
        open.uses += 1;
        let uses = open.uses;
        if open.files.len() >= self.capacity
            && let Some(oldest) = open.files.iter().min_by_key(|(_, (_, used))| *used).map(|(&key, _)| key)
        {
            open.files.remove(&oldest);
        }
        open.files.insert(key, (file.clone(), uses));
        file
    }

    /// Lets go of a file, which is another one from here on.
    pub(crate) fn drop_one(&self, key: Key) {
        self.lock().files.remove(&key);
    }

    /// Lets go of all files of a store.
    pub(crate) fn forget(&self, store: u64) {
        self.lock().files.retain(|key, _| key.store != store);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
