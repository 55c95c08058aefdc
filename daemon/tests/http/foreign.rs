//! What schemathesis finds out about the API from its own description: no answer is a mistake of ours, and all are as described.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fake::scene;

/// Where `cargo xtask test` puts it, or on PATH.
fn schemathesis() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("target/tools/schemathesis/bin/schemathesis");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(ours).chain(std::env::split_paths(&path).map(|folder| folder.join("schemathesis"))).find(|program| program.is_file())
}

#[test]
fn schemathesis_finds_no_mistake() {
    let Some(program) = schemathesis() else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "schemathesis is missing; cargo xtask test installs it");
        eprintln!("skipped: schemathesis is missing; cargo xtask test installs it");
        return;
    };
    let scene = scene();
    let folder = tempfile::TempDir::new().expect("a folder");
    let output = Command::new(program)
        .args(["run", &format!("{}api/openapi.json", scene.face.url())])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        // A stream of events has no end.
        .args(["--exclude-path", "/api/events", "--max-examples", "40", "--seed", "1", "--workers", "1", "--no-color"])
        .args(["--request-timeout", "20", "--generation-database", "none"])
        .current_dir(folder.path())
        .output()
        .expect("schemathesis starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
