use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hexad_content::{FileEntry, Layout, Proof, safe_names};
use hexad_core::ShareId;
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

struct Scene {
    folder: TempDir,
    target: Target,
}

impl Scene {
    /// A download of three files, of which the second has not begun.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let file = |path: &[&str], length| FileEntry::plain(path.iter().map(|element| (*element).to_owned()).collect(), length);
        let files = vec![file(&["a.bin"], 3 << 20), file(&["b.bin"], 10), file(&["deep", "c.bin"], 5)];
        let layout = Arc::new(Layout::folder("album".to_owned(), files).unwrap());
        let names = safe_names(&layout);
        let proof = Proof::Unproven { total_bytes: layout.total_bytes() };
        let from = folder.path().join("from");
        let target =
            Target { share: ShareId(1), layout, proof, names, wanted: vec![true; 3], folder: from.clone(), identity: "cafe".to_owned() };
        fs::create_dir_all(from.join("album/deep")).unwrap();
        fs::create_dir_all(from.join(".hexad")).unwrap();
        fs::write(from.join("album/a.bin"), a()).unwrap();
        fs::write(from.join("album/deep/c.bin"), "ccccc").unwrap();
        fs::write(from.join(".hexad/cafe.journal"), "journal").unwrap();
        fs::write(from.join(".hexad/cafe.lock"), "").unwrap();
        fs::write(from.join("beside.txt"), "somebody else's").unwrap();
        Self { folder, target }
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("to")
    }

    fn relocation(&self, by_copy: bool) -> Relocation {
        let relocation = Relocation::of(&self.target, &self.to()).unwrap();
        assert!(!relocation.copies(), "both are in one folder");
        if by_copy { relocation.by_copy() } else { relocation }
    }

    /// All of the download is in that folder, and nothing of it in the other.
    fn is_all_in(&self, name: &str) {
        let (own, other) = if name == "to" { ("to", "from") } else { ("from", "to") };
        let (own, other) = (self.folder.path().join(own), self.folder.path().join(other));
        assert!(fs::read(own.join("album/a.bin")).unwrap() == a());
        assert_eq!(fs::read(own.join("album/deep/c.bin")).unwrap(), b"ccccc");
        assert_eq!(fs::read(own.join(".hexad/cafe.journal")).unwrap(), b"journal");
        let books: Vec<_> = fs::read_dir(own.join(".hexad")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(books.iter().all(|name| name == "cafe.journal" || name == "cafe.lock"), "{books:?}");
        let left: Vec<_> = fs::read_dir(other).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
        let expected: &[&str] = if name == "to" { &["beside.txt"] } else { &[] };
        assert_eq!(left, expected, "{left:?}");
    }
}

fn a() -> Vec<u8> {
    (0..3_u32 << 20).map(|at| (at % 251) as u8).collect()
}

fn always(_: u64) -> bool {
    true
}

fn noted() -> Result<(), StoreError> {
    Ok(())
}

#[test]
fn all_of_a_download_goes_and_nothing_else() {
    for by_copy in [false, true] {
        let scene = Scene::new();
        let relocation = scene.relocation(by_copy);
        relocation.check(false).unwrap();
        relocation.copy_ahead(&always).unwrap();
        relocation.finish(false, PATIENCE, &always, noted).unwrap();
        scene.is_all_in("to");
    }
}

#[test]
fn of_a_download_without_books_no_folder_for_them_is_left() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.target.folder.join(".hexad")).unwrap();
    let relocation = scene.relocation(true);
    relocation.copy_ahead(&always).unwrap();
    relocation.finish(false, PATIENCE, &always, noted).unwrap();
    let there: Vec<_> = fs::read_dir(scene.to()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, ["album"]);
}

#[test]
fn it_is_told_how_much_is_copied_and_compared_and_copies_are_as_old_as_what_they_are_of() {
    let scene = Scene::new();
    let file = scene.target.folder.join("album/a.bin");
    let then = fs::metadata(&file).unwrap().modified().unwrap() - Duration::from_secs(1_000);
    fs::File::options().write(true).open(&file).unwrap().set_modified(then).unwrap();
    let bytes: u64 = scene
        .relocation(true)
        .files
        .iter()
        .filter_map(|file| scene.target.folder.join(file).metadata().ok())
        .map(|found| found.len())
        .sum();
    let relocation = scene.relocation(true);
    let done = AtomicUsize::new(0);
    let count = |bytes: u64| {
        done.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Relaxed);
        true
    };
    relocation.copy_ahead(&count).unwrap();
    assert_eq!(done.load(Ordering::Relaxed) as u64, bytes);
    relocation.finish(false, PATIENCE, &count, noted).unwrap();
    assert_eq!(done.load(Ordering::Relaxed) as u64, 2 * bytes);
    assert_eq!(fs::metadata(scene.to().join("album/a.bin")).unwrap().modified().unwrap(), then);
}

#[test]
fn what_is_written_while_copies_are_made_is_in_them() {
    let scene = Scene::new();
    let relocation = scene.relocation(true);
    relocation.copy_ahead(&always).unwrap();
    let from = &scene.target.folder;
    let file = fs::File::options().write(true).open(from.join("album/a.bin")).unwrap();
    file.write_all_at(b"later", 2_000_000).unwrap();
    fs::write(from.join("album/b.bin"), "bbbbbbbbbb").unwrap();
    relocation.finish(false, PATIENCE, &always, noted).unwrap();
    let mut expected = a();
    expected[2_000_000..2_000_005].copy_from_slice(b"later");
    assert!(fs::read(scene.to().join("album/a.bin")).unwrap() == expected);
    assert_eq!(fs::read(scene.to().join("album/b.bin")).unwrap(), b"bbbbbbbbbb");
}

#[test]
fn nothing_that_was_there_before_is_touched() {
    for by_copy in [false, true] {
        let scene = Scene::new();
        fs::create_dir_all(scene.to().join("album/deep")).unwrap();
        fs::write(scene.to().join("album/deep/c.bin"), "mine!").unwrap();
        let relocation = scene.relocation(by_copy);
        assert!(matches!(relocation.check(false), Err(StoreError::InTheWay { .. })));
        assert!(matches!(relocation.finish(false, PATIENCE, &always, noted), Err(StoreError::InTheWay { .. })));
        assert!(matches!(relocation.finish(true, PATIENCE, &always, noted), Err(StoreError::InTheWay { .. })), "it is none of ours");
        assert_eq!(fs::read(scene.to().join("album/deep/c.bin")).unwrap(), b"mine!");
        fs::remove_dir_all(scene.to()).unwrap();
        scene.is_all_in("from");
    }
}

#[test]
fn when_it_cannot_be_noted_all_is_as_before() {
    for by_copy in [false, true] {
        let scene = Scene::new();
        let relocation = scene.relocation(by_copy);
        relocation.copy_ahead(&always).unwrap();
        let failed = relocation.finish(false, PATIENCE, &always, || Err(StoreError::Misfit("no memory")));
        assert!(matches!(failed, Err(StoreError::Misfit("no memory"))));
        scene.is_all_in("from");
    }
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing_behind() {
    let scene = Scene::new();
    let relocation = scene.relocation(true);
    let asked = AtomicUsize::new(0);
    let twice = |_| asked.fetch_add(1, Ordering::Relaxed) < 2;
    relocation.copy_ahead(&twice).unwrap_err();
    scene.is_all_in("from");
}

/// Whoever was killed has left some files in the one folder, some in the other, some in both, and copies half made.
#[test]
fn whoever_was_killed_goes_on_where_it_was() {
    for by_copy in [false, true] {
        for step in 0..5 {
            let scene = Scene::new();
            let (from, to) = (&scene.target.folder, scene.to());
            fs::create_dir_all(to.join("album")).unwrap();
            fs::create_dir_all(to.join(".hexad")).unwrap();
            if by_copy {
                fs::write(to.join(".hexad/cafe.2.coming"), "c").unwrap();
                for file in ["album/a.bin", ".hexad/cafe.journal"].into_iter().take(step) {
                    fs::copy(from.join(file), to.join(file)).unwrap();
                }
                // It was noted, and some of the old files are gone.
                if step == 4 {
                    fs::remove_file(from.join("album/a.bin")).unwrap();
                }
            } else {
                for file in ["album/a.bin", ".hexad/cafe.journal"].into_iter().take(step) {
                    fs::rename(from.join(file), to.join(file)).unwrap();
                }
            }
            let relocation = scene.relocation(by_copy);
            relocation.check(true).unwrap();
            relocation.copy_ahead(&always).unwrap();
            relocation.finish(true, PATIENCE, &always, noted).unwrap();
            scene.is_all_in("to");
        }
    }
}

#[test]
fn who_is_still_writing_is_waited_for() {
    let scene = Scene::new();
    let lock = scene.target.folder.join(".hexad/cafe.lock");
    let held = Locked::take(fs::File::options().write(true).open(&lock).unwrap()).unwrap();
    let relocation = scene.relocation(false);
    let busy = relocation.finish(false, Duration::ZERO, &always, noted);
    assert!(matches!(busy, Err(StoreError::Busy { .. })));
    scene.is_all_in("from");
    drop(held);
    relocation.finish(false, PATIENCE, &always, noted).unwrap();
    scene.is_all_in("to");
}
