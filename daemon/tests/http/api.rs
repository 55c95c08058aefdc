//! Every path of the API, and every way in which it can fail.

use serde_json::{Value, json};

use crate::client::{ask, change, get};
use crate::fake::{scene, scene_with};

#[test]
fn the_node_says_how_it_stands() {
    let scene = scene();
    let at = scene.face.address();
    let status = get(at, "/api/status");
    assert_eq!(status.status, 200);
    assert_eq!(status.header("content-type"), Some("application/json"));
    assert_eq!(status.header("cache-control"), Some("no-store"));
    let status = status.json();
    assert_eq!(
        (&status["version"], &status["networks"][0]["name"]),
        (&json!("1.2.3"), &json!("chord")),
        "totals and networks are one object"
    );
    assert_eq!(get(at, "/health").json(), json!({ "status": "ok" }));
    let index = get(at, "/api").json();
    let paths: Vec<&str> = index["paths"].as_array().expect("paths").iter().filter_map(|line| line["path"].as_str()).collect();
    assert!(paths.contains(&"/api/downloads/{id}/pause"), "{paths:?}");
    let description = get(at, "/api/openapi.json").json();
    assert!(description["paths"]["/api/library/files/{name}"]["put"].is_object());
    assert!(description["components"]["schemas"]["Problem"]["properties"]["hint"].is_object());
}

#[test]
fn networks_are_shown_joined_and_left() {
    let scene = scene();
    let at = scene.face.address();
    assert_eq!(get(at, "/api/networks").json().as_array().map(Vec::len), Some(2));
    let chord = get(at, "/api/networks/chord").json();
    assert_eq!((&chord["overlay"]["kind"], &chord["overlay"]["me"]["place"]), (&json!("ring"), &json!(0.25)));
    assert_eq!(change(at, "POST", "/api/networks/chord/leave", "").json()["state"], "left");
    assert_eq!(change(at, "POST", "/api/networks/chord/join", "").json()["state"], "joined");
    let nowhere = change(at, "POST", "/api/networks/usenet/join", "");
    assert!(nowhere.status == 404 && nowhere.is_problem());
}

#[test]
fn a_search_is_begun_looked_at_continued_and_forgotten() {
    let scene = scene();
    let at = scene.face.address();
    let begun = change(at, "POST", "/api/searches", r#"{"words":["blue"]}"#);
    assert_eq!(begun.status, 201);
    let id = begun.json()["id"].as_u64().expect("a number");
    let found = get(at, &format!("/api/searches/{id}?offset=0&limit=5")).json();
    assert_eq!((&found["state"], &found["results"][0]["name"]), (&json!("running"), &json!("blue.ogg")));
    assert_eq!(get(at, "/api/searches").json()["total"], 1);
    assert_eq!(change(at, "POST", &format!("/api/searches/{id}/more"), "").status, 200);
    assert_eq!(change(at, "DELETE", &format!("/api/searches/{id}"), "").status, 204);
    assert_eq!(get(at, &format!("/api/searches/{id}")).status, 404);
}

#[test]
fn a_download_is_begun_paused_resumed_and_forgotten() {
    let scene = scene();
    let at = scene.face.address();
    let begun = change(at, "POST", "/api/downloads", r#"{"source":"magnet:?xt=urn:btih:00","select":["0-2"],"seed":true}"#);
    assert_eq!(begun.status, 201);
    let id = begun.json()["id"].as_u64().expect("a number");
    let detail = get(at, &format!("/api/downloads/{id}")).json();
    assert_eq!((&detail["id"], &detail["blocks"]), (&json!(id), &json!([0, 50, 100])), "a detail has what lists have");
    assert_eq!(change(at, "POST", &format!("/api/downloads/{id}/pause"), "").json()["state"], "paused");
    let again = change(at, "POST", &format!("/api/downloads/{id}/pause"), "");
    assert!(again.status == 409 && again.is_problem());
    assert_eq!(get(at, "/api/downloads?state=paused&q=file&sort=name&offset=0&limit=10").json()["total"], 1);
    assert_eq!(get(at, "/api/downloads?state=seeding").json()["items"], json!([]));
    assert_eq!(change(at, "POST", &format!("/api/downloads/{id}/resume"), "").json()["state"], "fetching");
    let files = get(at, &format!("/api/downloads/{id}/files?limit=5")).json();
    assert_eq!((&files["total"], &files["items"][0]["turn"]), (&json!(1), &json!("usual")));
    let other = r#"{"how":{"sequential":true,"limits":{"down_bytes_per_s":9}},"select":["0"]}"#;
    assert_eq!(change(at, "PATCH", &format!("/api/downloads/{id}"), other).json()["id"], id);
    for wrong in [r#"{"select":["7"]}"#, r#"{"paused":true}"#, "7"] {
        let refused = change(at, "PATCH", &format!("/api/downloads/{id}"), wrong);
        assert!(refused.status == 400 && refused.is_problem(), "{wrong}");
    }
    assert_eq!(change(at, "PATCH", "/api/downloads/999", "{}").status, 404);
    assert_eq!(get(at, "/api/downloads/999/files").status, 404);
    assert_eq!(change(at, "DELETE", &format!("/api/downloads/{id}"), "").status, 204);
    assert_eq!(change(at, "DELETE", &format!("/api/downloads/{id}"), "").status, 404);
}

#[test]
fn files_and_folders_are_offered_and_taken_back() {
    let scene = scene();
    let at = scene.face.address();
    let file = scene.folder.path().join("a.txt");
    std::fs::write(&file, "hello").expect("written");
    let share = change(at, "POST", "/api/library", &json!({ "path": file }).to_string());
    assert_eq!((share.status, &share.json()["bytes"]), (201, &json!(5)));
    let id = share.json()["id"].as_u64().expect("a number");
    assert_eq!(get(at, "/api/library?q=a&limit=1").json()["items"][0]["id"], id);
    let detail = get(at, &format!("/api/library/{id}")).json();
    assert!(detail["id"] == id && detail["how"].is_array(), "{detail}");
    let moved = change(at, "PATCH", &format!("/api/library/{id}"), r#"{"into":"/mnt/films"}"#);
    assert_eq!((moved.status, &moved.json()["moving_to"]), (200, &json!("/mnt/films")));
    assert_eq!(change(at, "DELETE", &format!("/api/library/{id}"), "").status, 204);
    assert!(file.exists(), "no file is deleted");
    let folder = json!({ "path": scene.folder.path() }).to_string();
    assert_eq!(change(at, "POST", "/api/library/folders", &folder).status, 201);
    assert_eq!(get(at, "/api/library/folders").json().as_array().map(Vec::len), Some(1));
    assert_eq!(change(at, "DELETE", "/api/library/folders", &folder).status, 204);
    assert_eq!(change(at, "DELETE", "/api/library/folders", &folder).status, 404);
}

#[test]
fn a_file_that_is_sent_stands_there_whole_or_not_at_all() {
    let scene = scene();
    let at = scene.face.address();
    let bytes = vec![7; 3 << 20];
    let kind = [("content-type", "application/octet-stream")];
    let mut client = crate::client::Client::new(at);
    let share = client.ask("PUT", "/api/library/files/big%20file.bin", &kind, &bytes);
    assert_eq!((share.status, &share.json()["name"]), (201, &json!("big file.bin")));
    assert_eq!(std::fs::read(scene.folder.path().join("big file.bin")).ok(), Some(bytes));
    let again = ask(at, "PUT", "/api/library/files/big%20file.bin", &kind, "other");
    assert!(again.status == 409 && again.is_problem(), "what is there is not written over");
    assert_eq!(ask(at, "PUT", "/api/library/files/.hidden", &kind, "x").status, 400);
    assert_eq!(ask(at, "PUT", "/api/library/files/a%2F..%2Fb", &kind, "x").status, 400);
    assert_eq!(ask(at, "PUT", "/api/library/files/%FF", &kind, "x").status, 400);

    // Somebody who goes away in the middle.
    let mut gone = crate::client::Client::new(at);
    gone.send("PUT", "/api/library/files/half.bin", &[kind[0], ("content-length", "1000")], b"the first bytes");
    drop(gone);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(scene.folder.path()).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    while names() != ["big file.bin"] && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(names(), ["big file.bin"]);
}

#[test]
fn the_dht_is_asked_by_the_node() {
    let scene = scene();
    let at = scene.face.address();
    let hash = "0a".repeat(20);
    let scraped = get(at, &format!("/api/bittorrent/scrape?torrent={hash}"));
    assert_eq!((scraped.status, scraped.json()), (200, json!({ "info_hash": hash, "seeds": 3, "leechers": 2, "nodes": 8 })));
    assert_eq!(get(at, "/api/bittorrent/sample").json().as_array().map(Vec::len), Some(20));
    assert_eq!(get(at, "/api/bittorrent/sample?count=3").json()[2]["info_hash"], json!(format!("{:040x}", 2)));
    for wrong in ["scrape", "scrape?torrents=a", "sample?count=0", "sample?count=1001", "sample?count=many"] {
        let refused = get(at, &format!("/api/bittorrent/{wrong}"));
        assert!(refused.status == 400 && refused.is_problem(), "{wrong}: {}", refused.status);
    }
}

#[test]
fn friends_are_invited_listed_and_forgotten() {
    let scene = scene();
    let at = scene.face.address();
    let given = change(at, "POST", "/api/freenet/invitations", r#"{"name":"carol","uses":3}"#);
    assert_eq!((given.status, &given.json()["invitation"], &given.json()["uses_left"]), (201, &json!("text"), &json!(3)));
    assert_eq!(change(at, "POST", "/api/freenet/invitations", r#"{"lasts":3}"#).status, 400);
    assert_eq!(get(at, "/api/freenet/invitations").json()[0]["id"], json!(1));
    assert_eq!(change(at, "DELETE", "/api/freenet/invitations/1", "").status, 204);
    assert_eq!(change(at, "DELETE", "/api/freenet/invitations/2", "").status, 404);
    assert_eq!(change(at, "POST", "/api/freenet/friends", r#"{"invitation":"text"}"#).status, 201);
    assert_eq!(get(at, "/api/freenet/friends").json()[0]["name"], json!("bob"));
    assert_eq!(change(at, "DELETE", "/api/freenet/friends/ab", "").status, 204);
}

#[test]
fn settings_are_shown_and_set() {
    let scene = scene();
    let at = scene.face.address();
    let wanted = json!({ "download_dir": "/d", "shared_dirs": ["/s"], "seed": true, "networks": { "chord": true } });
    let set = change(at, "PUT", "/api/settings", &wanted.to_string());
    assert_eq!((set.status, &set.json()["restart"]), (200, &json!(["download_dir"])));
    assert_eq!(get(at, "/api/settings").json(), wanted);
}

/// Looks at a run until it is over.
fn outcome(at: std::net::SocketAddr, id: &Value) -> Value {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let run = get(at, &format!("/api/lab/runs/{id}")).json();
        if run["state"] != "running" || std::time::Instant::now() > until {
            return run;
        }
    }
}

#[test]
fn the_lab_runs_beside_the_node() {
    let scene = scene();
    let at = scene.face.address();
    assert_eq!(get(at, "/api/lab/scenarios").json()[0]["name"], "lab/quick");
    let begin = |body: &str| change(at, "POST", "/api/lab/runs", body);
    let run = begin(r#"{"scenario":"lab/quick","set":{"nodes":"2"}}"#);
    assert_eq!(run.status, 201);
    let done = outcome(at, &run.json()["id"]);
    assert_eq!((&done["state"], &done["report"]["events"]), (&json!("done"), &json!(3)));
    let failed = outcome(at, &begin(r#"{"scenario":"lab/quick","set":{"unknown":"2"}}"#).json()["id"]);
    assert_eq!((&failed["state"], &failed["problem"]["message"]), (&json!("failed"), &json!("there is no parameter 'unknown'")));
    let panicked = outcome(at, &begin(r#"{"scenario":"lab/panic"}"#).json()["id"]);
    assert_eq!(panicked["state"], "failed");
    assert_eq!(begin(r#"{"scenario":"lab/none"}"#).status, 400);
    assert_eq!(get(at, "/api/lab/runs/99").status, 404);
    let none = get(at, "/api/lab/report");
    assert!(none.status == 404 && none.json()["hint"].is_string());
}

#[test]
fn the_last_report_of_the_lab_may_do_nothing_but_draw() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("report.html");
    std::fs::write(&path, "<!doctype html><title>report</title>").expect("written");
    let scene = scene_with(|settings| settings.lab_report = Some(path));
    let report = get(scene.face.address(), "/api/lab/report");
    assert_eq!((report.status, report.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(report.header("content-security-policy").is_some_and(|policy| policy.starts_with("sandbox")));
}

fn refused(at: std::net::SocketAddr, status: u16, method: &str, path: &str, body: &str) {
    let answer = change(at, method, path, body);
    assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text());
    assert!(answer.is_problem(), "{method} {path}: {}", answer.text());
}

#[test]
fn every_kind_of_problem_has_its_status() {
    let scene = scene();
    let at = scene.face.address();
    for (status, method, path, body) in [
        (400, "POST", "/api/searches", r#"{"words":[]}"#),
        (503, "POST", "/api/searches", r#"{"words":["a"],"on":["kazaa"]}"#),
        (404, "GET", "/api/downloads/7", ""),
        (500, "GET", "/api/networks/broken", ""),
        (500, "GET", "/api/networks/panic", ""),
        (404, "GET", "/api/nothing", ""),
        (404, "POST", "/api/nothing", "{}"),
        (405, "PATCH", "/api/status", "{}"),
        (405, "DELETE", "/api/downloads", ""),
        (405, "POST", "/", "{}"),
    ] {
        refused(at, status, method, path, body);
    }
}

#[test]
fn what_cannot_be_read_is_said_to_be_so() {
    let scene = scene();
    let at = scene.face.address();
    for (status, method, path, body) in [
        (400, "POST", "/api/searches", ""),
        (400, "POST", "/api/searches", "{"),
        (400, "POST", "/api/searches", "[]"),
        (400, "POST", "/api/searches", r#"{"words":"blue"}"#),
        (400, "POST", "/api/searches", r#"{"words":["a"],"results_max":-1}"#),
        (400, "POST", "/api/searches", r#"{"words":["a"],"surprise":1}"#),
        (400, "POST", "/api/searches", "\u{0}"),
        (400, "POST", "/api/downloads", r#"{"source":7}"#),
        (400, "PUT", "/api/settings", "{}"),
        (400, "POST", "/api/library", "{}"),
        (400, "POST", "/api/lab/runs", r#"{"scenario":"lab/quick","set":{"a":1}}"#),
        (400, "GET", "/api/downloads?limit=many", ""),
        (400, "GET", "/api/downloads?state=lost", ""),
        (400, "GET", "/api/downloads?limit=1&limit=2", ""),
        (400, "GET", "/api/searches?offset=-1", ""),
        (400, "GET", "/api/downloads/first", ""),
        (400, "GET", "/api/downloads/99999999999999999999999", ""),
        (400, "GET", "/api/networks/%FF", ""),
    ] {
        refused(at, status, method, path, body);
    }
    let deep = "[".repeat(100_000);
    assert_eq!(change(at, "POST", "/api/searches", &deep).status, 400);
    let large = format!(r#"{{"words":["{}"]}}"#, "a".repeat(2 << 20));
    assert_eq!(change(at, "POST", "/api/searches", &large).status, 413);
}

#[test]
fn figures_are_told_to_prometheus() {
    let scene = scene();
    scene.node.fill(3);
    let metrics = get(scene.face.address(), "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = metrics.text();
    for line in [
        "hexad_build_info{version=\"1.2.3\"} 1",
        "hexad_downloads{state=\"total\"} 3",
        "hexad_network_joined{network=\"kazaa\"} 0",
        "hexad_network_figure{network=\"chord\",figure=\"fingers \\\"set\\\"\"} 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let figure = line.rsplit(' ').next().and_then(|figure| figure.parse::<f64>().ok());
        assert!(line.starts_with("hexad_") && figure.is_some(), "{line}");
    }
}
