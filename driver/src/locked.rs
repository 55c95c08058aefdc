//! Files that one process at a time has.

use std::fs::{File, TryLockError};

/// A file that nobody else has as long as this lives. A lock falls when every copy of its descriptor is closed, and a child that another thread
/// is just starting has copies of all: so it is given back, and not just closed.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Takes it.
    ///
    /// # Errors
    /// When somebody else has it, or the file system knows no locks.
    pub fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // What cannot be given back falls with the descriptor.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_though_its_descriptor_lives_on() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let file = || File::options().write(true).open(place.path()).unwrap();
        let first = file();
        let copy = first.try_clone().unwrap();
        let held = Locked::take(first).unwrap();
        assert!(matches!(Locked::take(file()), Err(TryLockError::WouldBlock)));
        drop(held);
        Locked::take(file()).unwrap();
        drop(copy);
    }
}
