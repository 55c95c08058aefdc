use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hexad_library::{Scanned, ShareError, scan};

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn listed(scanned: &Scanned) -> Vec<String> {
    scanned.layout.files().iter().map(|file| file.path.join("/")).collect()
}

#[test]
fn a_folder_is_laid_out_in_the_order_of_its_path_elements() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["b", "a/z", "a.txt", "a/b/c", "ä 漢字/é", ".hidden/.x", "B", "empty"] {
        write(folder.path(), &format!("root/{path}"), if path == "empty" { b"" } else { path.as_bytes() });
    }
    fs::create_dir(folder.path().join("root/nothing in here")).unwrap();
    let scanned = scan(&folder.path().join("root")).unwrap();
    assert_eq!(listed(&scanned), [".hidden/.x", "B", "a/b/c", "a/z", "a.txt", "b", "empty", "ä 漢字/é"]);
    assert_eq!((scanned.layout.name(), scanned.layout.is_single()), ("root", false));
    for (file, path) in scanned.layout.files().iter().zip(&scanned.paths) {
        let path = path.as_ref().unwrap();
        assert!(path.is_absolute() && path.ends_with(file.path.join("/")));
        assert_eq!(fs::metadata(path).unwrap().len(), file.length);
    }
    assert_eq!(scanned.skipped, []);
}

#[test]
fn a_file_is_laid_out_alone_with_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "run.sh", b"true");
    let path = folder.path().join("run.sh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let scanned = scan(&path).unwrap();
    assert!(scanned.layout.is_single() && scanned.layout.files()[0].executable);
    assert_eq!((scanned.layout.name(), scanned.layout.total_bytes(), scanned.paths.len()), ("run.sh", 4, 1));
}

#[test]
fn links_and_strange_names_inside_a_folder_are_left_out_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "secret", b"not yours");
    write(folder.path(), "root/a", b"a");
    symlink(folder.path().join("secret"), folder.path().join("root/link")).unwrap();
    symlink(folder.path(), folder.path().join("root/up")).unwrap();
    let strange = folder.path().join("root").join(OsStr::from_bytes(b"bad \xff"));
    fs::write(&strange, b"x").unwrap();
    let scanned = scan(&folder.path().join("root")).unwrap();
    assert_eq!(listed(&scanned), ["a"]);
    let reasons: Vec<&str> = scanned.skipped.iter().map(|skipped| skipped.reason).collect();
    assert_eq!(reasons, ["its name is not UTF-8", "a symbolic link", "a symbolic link"]);
    assert_eq!(scanned.skipped[0].path, strange);
}

#[test]
fn a_path_that_is_itself_a_link_is_followed_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "real/a", b"a");
    symlink(folder.path().join("real"), folder.path().join("alias")).unwrap();
    assert_eq!(scan(&folder.path().join("alias")).unwrap().layout.name(), "alias");
    assert_eq!(scan(&folder.path().join("real/../real/.")).unwrap().layout.name(), "real");
    assert_eq!(scan(&folder.path().join("real/..")).unwrap().layout.name(), folder.path().file_name().unwrap().to_str().unwrap());
}

#[test]
fn what_cannot_be_shared_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &str, expected: &str| {
        let wrong = scan(&folder.path().join(path)).unwrap_err();
        assert!(wrong.to_string().ends_with(expected), "{wrong}");
        assert!(wrong.hint().is_some());
        wrong
    };
    fs::create_dir(folder.path().join("empty")).unwrap();
    check("none", "none: no such file or folder");
    check("empty", "empty: expected at least one file, came none");
    assert!(matches!(scan(Path::new("/dev/null")), Err(ShareError::NotAFile { .. })));
    assert!(matches!(scan(Path::new("/")), Err(ShareError::NoName { .. })));
}

#[test]
fn twenty_thousand_small_files_are_laid_out() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..200 {
        fs::create_dir(folder.path().join(n.to_string())).unwrap();
        (0..100).for_each(|m| fs::write(folder.path().join(format!("{n}/{m}.txt")), [0; 10]).unwrap());
    }
    let scanned = scan(folder.path()).unwrap();
    assert_eq!((scanned.layout.files().len(), scanned.layout.total_bytes()), (20_000, 200_000));
    assert!(scanned.layout.files().is_sorted_by(|left, right| left.path < right.path));
}
