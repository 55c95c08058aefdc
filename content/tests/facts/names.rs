use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use hexad_content::{FileEntry, Layout, SafeNames, safe_names};
use proptest::prelude::*;

fn folder(name: &str, paths: &[&[&str]]) -> Layout {
    let files = paths.iter().map(|path| FileEntry::plain(path.iter().map(|&element| element.to_owned()).collect(), 1)).collect();
    Layout::folder(name.to_owned(), files).unwrap()
}

/// The paths below the root, joined.
fn below(names: &SafeNames) -> Vec<String> {
    names.paths.iter().flatten().map(|path| path[1..].join("/")).collect()
}

/// What must hold of any layout.
fn check(layout: &Layout) -> SafeNames {
    let names = safe_names(layout);
    assert_eq!(names, safe_names(layout), "the same layout gives the same names");
    assert_eq!(names.paths.len(), layout.files().len());
    let mut files = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for (file, path) in layout.files().iter().zip(&names.paths) {
        assert_eq!(file.padding, path.is_none());
        let Some(path) = path else { continue };
        assert_eq!(path[0], names.root);
        assert_ne!(path[0].to_lowercase(), ".hexad");
        assert!(path.len() <= 100 && path.join("/").len() <= 4_000);
        for element in path {
            assert!(!element.is_empty() && element != "." && element != ".." && element.len() <= 255, "{element:?}");
            assert!(!element.contains(|c: char| c == '/' || c == '\\' || c.is_control()), "{element:?}");
            assert!(!element.ends_with(['.', ' ']), "{element:?}");
        }
        let joined = path.iter().collect::<PathBuf>();
        assert!(joined.components().all(|component| matches!(component, Component::Normal(_))), "{joined:?}");
        assert_eq!(joined.components().count(), path.len());
        assert!(Path::new("/target").join(&joined).starts_with("/target"));
        let folded: Vec<String> = path.iter().map(|element| element.to_lowercase()).collect();
        assert!(files.insert(folded.clone()), "{path:?} stands twice");
        for depth in 1..folded.len() {
            folders.insert(folded[..depth].to_vec());
        }
    }
    assert!(files.is_disjoint(&folders), "a file and a folder share a name");
    if !layout.is_single() {
        let listed: BTreeSet<&str> = names.renamed.iter().map(|renamed| renamed.to.as_str()).collect();
        for (file, path) in layout.files().iter().zip(&names.paths) {
            let Some(path) = path else { continue };
            assert!(file.path == path[1..] || listed.contains(path[1..].join("/").as_str()), "{path:?} was renamed in silence");
        }
    }
    names
}

#[test]
fn good_names_stay_as_they_are() {
    let layout = folder(
        "Album: best of",
        &[&["a.txt"], &["CD 1", "é ü 漢字.ogg"], &["CD 1", "b"], &[".hidden"], &["CD 1", ".hexad"], &["console"], &["com10"]],
    );
    let names = check(&layout);
    assert_eq!(names.renamed, []);
    assert_eq!(names.root, "Album: best of");
    assert_eq!(below(&names), ["a.txt", "CD 1/é ü 漢字.ogg", "CD 1/b", ".hidden", "CD 1/.hexad", "console", "com10"]);
}

#[test]
fn a_single_file_stands_under_its_own_name() {
    let names = check(&Layout::single("film.mkv".to_owned(), 5).unwrap());
    assert_eq!(names.paths, [Some(vec!["film.mkv".to_owned()])]);
    assert_eq!((names.root.as_str(), names.renamed.len()), ("film.mkv", 0));
    let names = check(&Layout::single("../../etc/passwd".to_owned(), 5).unwrap());
    assert_eq!(names.paths, [Some(vec![".._.._etc_passwd".to_owned()])]);
    assert_eq!((names.renamed[0].from.as_str(), names.renamed[0].to.as_str()), ("../../etc/passwd", ".._.._etc_passwd"));
}

#[test]
fn what_would_lead_elsewhere_stays_inside() {
    let names = check(&folder(
        "..",
        &[&["..", "..", "x"], &["/etc/passwd"], &["", "abs"], &["."], &["C:\\boot.ini"], &["a\0b"], &["a/b"], &[], &["new\nline"]],
    ));
    assert_eq!(names.root, "_");
    assert_eq!(below(&names)[..6], ["_/_/x", "_etc_passwd", "_~3/abs", "_~3.1", "C:_boot.ini", "a_b"]);
    assert_eq!(names.renamed.len(), 10);
    assert_eq!(names.renamed[0].reason, "would lead out of its folder");
}

#[test]
fn names_that_windows_reserves_are_changed() {
    let names = check(&folder("aux", &[&["CON"], &["nul.txt"], &["com1.tar.gz"], &["LPT¹"], &["x."], &["y "], &["con .a"]]));
    assert_eq!(names.root, "_aux");
    assert_eq!(below(&names), ["_CON", "_nul.txt", "_com1.tar.gz", "_LPT¹", "x_", "y_", "_con .a"]);
}

#[test]
fn the_working_folder_cannot_be_named() {
    for name in [".hexad", ".HEXAD", ".Hexad"] {
        assert_eq!(check(&folder(name, &[&["journal"]])).root, format!("_{name}"));
        assert_eq!(check(&Layout::single(name.to_owned(), 1).unwrap()).root, format!("_{name}"));
    }
}

#[test]
fn colliding_names_become_distinct_and_the_first_keeps_its_own() {
    let names = check(&folder(
        "r",
        &[&["a.txt"], &["a.txt"], &["A.TXT"], &["b", "x"], &["b"], &["B", "y"], &["c"], &["c", "z"], &["straße"], &["STRASSE"]],
    ));
    assert_eq!(below(&names), ["a.txt", "a~1.txt", "A~2.TXT", "b/x", "b~4", "B~2/y", "c", "c~3/z", "straße", "STRASSE~9"]);
    assert!(names.renamed.iter().all(|renamed| renamed.reason == "is taken by another file or folder"));
}

#[test]
fn a_name_that_stands_in_the_way_of_a_new_one_is_avoided() {
    let names = check(&folder("r", &[&["a~2.txt"], &["a.txt"], &["a.txt"]]));
    assert_eq!(below(&names), ["a~2.txt", "a.txt", "a~2.1.txt"]);
}

#[test]
fn long_names_keep_their_ending_and_differ() {
    let long = |last: char| format!("{}{last}.flac", "ü".repeat(200));
    let (a, b) = (long('a'), long('b'));
    let names = check(&folder("r", &[&[&a], &[&b], &[&a, "inside"]]));
    let short = below(&names);
    assert!(short[0].ends_with(".flac") && short[0].starts_with("üüü") && short[0].len() >= 250);
    assert_ne!(short[0], short[1]);
    let exact = "x".repeat(255);
    assert_eq!(check(&folder("r", &[&[&exact]])).renamed, []);
}

#[test]
fn paths_that_are_too_deep_or_too_long_move_up_and_stay_distinct() {
    let deep = vec!["d"; 5_000];
    let long = vec!["0123456789012345678901234567890123456789012345678901234567890123456789"; 90];
    let names = check(&folder("r", &[&deep, &deep[1..], &long, &long[1..], &["plain"]]));
    assert!(names.paths[..4].iter().flatten().all(|path| path.len() == 2));
    assert_eq!(names.renamed.len(), 4);
}

#[test]
fn padding_has_no_path_and_takes_no_name() {
    let pad = FileEntry { padding: true, ..FileEntry::plain(vec![".pad".into(), "7".into()], 7) };
    let file = FileEntry::plain(vec![".pad".into()], 7);
    let names = check(&Layout::folder("r".into(), vec![pad, file]).unwrap());
    assert_eq!(names.paths, [None, Some(vec!["r".to_owned(), ".pad".to_owned()])]);
}

#[test]
fn a_hundred_thousand_files_of_one_name_are_told_apart_in_time() {
    let files = (0..100_000).map(|_| FileEntry::plain(vec!["folder".into(), "same.txt".into()], 1)).collect();
    assert_eq!(safe_names(&Layout::folder("r".into(), files).unwrap()).renamed.len(), 99_999);
}

#[test]
#[ignore = "a million files: run it when safe_names changes"]
fn a_million_files_get_their_names_in_time() {
    let files = (0..1_000_000).map(|n| FileEntry::plain(vec![format!("folder {}", n % 1_000), format!("file {n}.txt")], 1)).collect();
    assert_eq!(safe_names(&Layout::folder("r".into(), files).unwrap()).renamed, []);
}

fn elements() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "", ".", "..", "/", "\\", "a", "A", "b", "a~1", "a~2", "_", "CON", "con.txt", "/etc", "C:", "x.", "x ", "\0", ".hexad", "~"
        ])
        .prop_map(str::to_owned),
        "[aAbB~_1/\\\\. ]{0,3}",
        ".{0,300}",
        (200_usize..600).prop_map(|count| "é".repeat(count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_layout_yields_a_path_that_escapes_or_collides(
        name in elements(),
        files in prop::collection::vec((prop::collection::vec(elements(), 0..5), prop::bool::weighted(0.1)), 1..40),
        repeat in prop_oneof![9 => Just(1_usize), 1 => Just(40_usize)],
    ) {
        let files = files.into_iter().map(|(path, padding)| {
            let path: Vec<String> = path.iter().cycle().take(path.len() * repeat).cloned().collect();
            FileEntry { padding, ..FileEntry::plain(path, 1) }
        }).collect();
        check(&Layout::folder(name, files).unwrap());
    }

    #[test]
    fn no_name_of_a_single_file_escapes(name in elements()) {
        check(&Layout::single(name, 1).unwrap());
    }
}

#[test]
fn bytes_that_are_no_text_are_not_passed_over_in_silence() {
    let names = check(&folder("Stra\u{fffd}e", &[&["a\u{fffd}.txt"], &["a\u{fffd}\u{fffd}.txt"], &["a_.txt"]]));
    assert_eq!(names.root, "Stra_e");
    assert_eq!(below(&names)[..2], ["a_.txt", "a__.txt"]);
    assert_ne!(below(&names)[2], "a_.txt", "taken by the first");
    assert!(names.renamed[..3].iter().all(|renamed| renamed.reason == "is not valid UTF-8"), "{:?}", names.renamed);
}
